namespace DeepRecall.Sandboxes.Docker;

/// <summary>How a <see cref="DockerSandbox"/> makes its containers. The defaults are the safe ones; what loosens them says so.</summary>
public sealed class DockerSandboxOptions
{
    /// <summary>Gets or sets the image: any that has Python 3.9 or newer. Default <c>python:3.12-slim</c>.</summary>
    public string Image { get; set; } = "python:3.12-slim";

    /// <summary>
    /// Gets or sets the engine: <c>unix:///var/run/docker.sock</c>, <c>npipe://./pipe/docker_engine</c>, or <c>tcp://host:2375</c>, which is not
    /// encrypted and belongs on trusted networks only. When it is <see langword="null"/> (the default), it is found as the <c>docker</c> command
    /// finds it: <c>DOCKER_HOST</c>, the current context, the platform's own. Podman's socket serves as well.
    /// </summary>
    public string? Endpoint { get; set; }

    /// <summary>Gets or sets the interpreter in the image, as a path or a name on its <c>PATH</c>. Default <c>python3</c>.</summary>
    public string PythonPath { get; set; } = "python3";

    /// <summary>
    /// Gets or sets how much memory a container has, in MiB (1,048,576 bytes), without swap; the context and <c>/tmp</c> are in it.
    /// Default 2,048, at least 64. A single process that comes near to it gets a <c>MemoryError</c>; beyond it the kernel ends the container.
    /// </summary>
    public int MemoryMB { get; set; } = 2048;

    /// <summary>Gets or sets how many processors' time a container may use; fractions are allowed. Default 1.</summary>
    public double Cpus { get; set; } = 1;

    /// <summary>Gets or sets how many processes and threads a container may have. Default 128, at least 8.</summary>
    public int PidsLimit { get; set; } = 128;

    /// <summary>Gets or sets how large <c>/tmp</c> is, in MiB: the only place that code can write to, kept in memory. Default 64, at least 1.</summary>
    public int ScratchMB { get; set; } = 64;

    /// <summary>
    /// Gets or sets the container's network. Default <c>none</c>: no network but the loopback. Any other name of a network of the engine
    /// (such as <c>bridge</c>) lets model code reach what that network reaches, and send away what it has read.
    /// </summary>
    public string Network { get; set; } = "none";

    /// <summary>Gets or sets the user, as <c>uid:gid</c> or a name in the image. Default <c>65534:65534</c>, which is nobody; root is not advised.</summary>
    public string User { get; set; } = "65534:65534";

    /// <summary>Gets or sets the OCI runtime, as the engine knows it, for example <c>runsc</c> for gVisor. Default: the engine's own.</summary>
    public string? Runtime { get; set; }

    /// <summary>
    /// Gets or sets a value indicating whether all but <c>/tmp</c> is read-only. Default <see langword="true"/>; otherwise the container's
    /// user may write where the image lets it, on the engine's disk and without a limit.
    /// </summary>
    public bool ReadOnlyRootfs { get; set; } = true;

    /// <summary>
    /// Gets directories and files of the engine's machine that containers see, always read-only: the path in the container, and the path
    /// on the machine. Model code can read all that the container's user can. Default: none.
    /// </summary>
    public IDictionary<string, string> Mounts { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Gets or sets when the image is pulled. Default <see cref="DockerPullPolicy.Missing"/>.</summary>
    public DockerPullPolicy PullPolicy { get; set; } = DockerPullPolicy.Missing;

    /// <summary>Gets or sets how large contexts get into the container. Default <see cref="DockerUploadMode.Automatic"/>.</summary>
    public DockerUploadMode Uploads { get; set; } = DockerUploadMode.Automatic;

    /// <summary>Gets labels for the containers, beside the sandbox's own, whose names begin with <c>deeprecall.</c>. Default: none.</summary>
    public IDictionary<string, string> Labels { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// Gets or sets how long disposing waits for the engine to remove a container. Default 10 seconds. A container that an engine did not
    /// remove in that time, as when it hangs, is removed when this host or a later one finds it without its owner.
    /// </summary>
    public TimeSpan StopTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>What is wrong with the options, each as a sentence.</summary>
    internal IReadOnlyList<string> Problems()
    {
        List<string> problems = [];
        Require(problems, !string.IsNullOrWhiteSpace(Image), nameof(Image), Image, "name an image, such as python:3.12-slim");
        Require(
                problems,
                Endpoint is null || (Uri.TryCreate(Endpoint, UriKind.Absolute, out var uri) && uri.Scheme is "unix" or "npipe" or "tcp" or "http" or "https"),
            nameof(Endpoint), Endpoint, "be unix:///path, npipe://./pipe/name or tcp://host:port");
        Require(problems, !string.IsNullOrWhiteSpace(PythonPath), nameof(PythonPath), PythonPath, "name the interpreter in the image, such as python3");
        Require(problems, MemoryMB >= 64, nameof(MemoryMB), MemoryMB, "be at least 64");
        Require(problems, Cpus is >= 0.01 and <= 1_000_000, nameof(Cpus), Cpus, "be at least 0.01");
        Require(problems, PidsLimit >= 8, nameof(PidsLimit), PidsLimit, "be at least 8");
        Require(problems, ScratchMB >= 1, nameof(ScratchMB), ScratchMB, "be at least 1");
        Require(problems, !string.IsNullOrWhiteSpace(Network), nameof(Network), Network, "name a network, such as none");
        Require(problems, !string.IsNullOrWhiteSpace(User), nameof(User), User, "be a user, such as 65534:65534");
        Require(problems, Runtime is null || !string.IsNullOrWhiteSpace(Runtime), nameof(Runtime), Runtime, "name a runtime, or be null for the engine's own");
        Require(problems, Enum.IsDefined(PullPolicy), nameof(PullPolicy), PullPolicy, "be Missing, Always or Never");
        Require(problems, Enum.IsDefined(Uploads), nameof(Uploads), Uploads, "be Automatic, Bind or Volume");
        Require(problems, StopTimeout > TimeSpan.Zero && StopTimeout.TotalMilliseconds < int.MaxValue, nameof(StopTimeout), StopTimeout, "be more than zero and less than 24 days");
        foreach (var (target, source) in Mounts)
        {
            Require(problems, target.StartsWith('/') && !string.IsNullOrWhiteSpace(source), nameof(Mounts), $"{target}={source}", "map a path in the container that begins with / to a path");
            Require(
                problems,
                target.TrimEnd('/') is not ("" or DockerContainer.ScratchPath or DockerContainer.UploadPath), nameof(Mounts), target,
                $"leave /, {DockerContainer.ScratchPath} and {DockerContainer.UploadPath} to the sandbox");
        }

        foreach (var (name, value) in Labels)
        {
            Require(problems, !string.IsNullOrWhiteSpace(name) && !name.StartsWith(DockerContainer.LabelPrefix, StringComparison.Ordinal), nameof(Labels), name, $"have names that do not begin with {DockerContainer.LabelPrefix}");
        }

        return problems;
    }

    /// <summary>A copy, which changes made later do not reach.</summary>
    internal DockerSandboxOptions Copy()
    {
        var copy = new DockerSandboxOptions
        {
            Image = Image,
            Endpoint = Endpoint,
            PythonPath = PythonPath,
            MemoryMB = MemoryMB,
            Cpus = Cpus,
            PidsLimit = PidsLimit,
            ScratchMB = ScratchMB,
            Network = Network,
            User = User,
            Runtime = Runtime,
            ReadOnlyRootfs = ReadOnlyRootfs,
            PullPolicy = PullPolicy,
            Uploads = Uploads,
            StopTimeout = StopTimeout,
        };
        foreach (var mount in Mounts)
        {
            copy.Mounts.Add(mount);
        }

        foreach (var label in Labels)
        {
            copy.Labels.Add(label);
        }

        return copy;
    }

    private static void Require(List<string> problems, bool holds, string option, object? value, string requirement)
    {
        if (!holds)
        {
            problems.Add(FormattableString.Invariant($"{nameof(DockerSandboxOptions)}.{option} is '{value}'; it must {requirement}."));
        }
    }
}
