using System.Globalization;
using Docker.DotNet.Models;

namespace DeepRecall.Sandboxes.Docker;

/// <summary>What a container of the sandbox is made of.</summary>
internal static class DockerContainer
{
    public const string ScratchPath = "/tmp";
    public const string UploadPath = "/deeprecall";
    public const string LabelPrefix = "deeprecall.";

    /// <summary>The label that tells whose container it is, see <see cref="DockerHostIdentity"/>.</summary>
    public const string HostLabel = LabelPrefix + "host";

    private const long Megabyte = 1024 * 1024;

    // The worker comes over the standard input, and before it its length: no file has to be there, and no argument is too long.
    // The limits are set here, not by the engine, whose own start would be under them: a MemoryError, which the cell survives, comes
    // before the kernel's end of the container, which nothing does.
    private const string Bootstrap = """
        import os, resource, sys, types
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]), int(sys.argv[2])))
        def read(size):
            data = bytearray()
            while len(data) < size:
                piece = os.read(0, size - len(data))
                if not piece:
                    os._exit(0)
                data += piece
            return bytes(data)
        source = read(int(read(10)))
        worker = types.ModuleType("deeprecall_worker")
        worker.__file__ = "deeprecall_worker.py"
        sys.modules[worker.__name__] = worker
        exec(compile(source, worker.__file__, "exec", dont_inherit=True), worker.__dict__)
        worker.main(sys.argv[1])
        """;

    /// <summary>Describes a container for the engine.</summary>
    /// <param name="options">The sandbox's options.</param>
    /// <param name="nonce">The worker's argument.</param>
    /// <param name="uploads">The directory on this machine that is mounted for uploads, or <see langword="null"/> for a volume.</param>
    public static CreateContainerParameters Describe(DockerSandboxOptions options, string nonce, string? uploads)
    {
        var memory = options.MemoryMB * Megabyte;
        return new CreateContainerParameters
        {
            Name = "deeprecall-" + Guid.NewGuid().ToString("N"),
            Image = options.Image,
            Entrypoint = [options.PythonPath, "-I", "-X", "utf8", "-c", Bootstrap, nonce, (memory / 10 * 9).ToString(CultureInfo.InvariantCulture)],
            Cmd = [],
            User = options.User,
            WorkingDir = ScratchPath,
            Env = [$"HOME={ScratchPath}", $"TMPDIR={ScratchPath}", "LANG=C.UTF-8"],
            Labels = new Dictionary<string, string>(options.Labels, StringComparer.Ordinal) { [HostLabel] = DockerHostIdentity.Current },
            AttachStdin = true,
            AttachStdout = true,
            AttachStderr = true,
            OpenStdin = true,
            StdinOnce = true, // the host's end is the end of the input, and so the worker's
            NetworkDisabled = options.Network == "none",
            Healthcheck = new HealthcheckConfig { Test = ["NONE"] },
            HostConfig = new HostConfig
            {
                // A signal that nothing handles does not end a process 1, so the worker is not it; and something has to reap.
                Init = true,
                Runtime = options.Runtime,
                NetworkMode = options.Network,
                Memory = memory,
                MemorySwap = memory,
                NanoCPUs = (long)(options.Cpus * 1_000_000_000),
                PidsLimit = options.PidsLimit,
                ReadonlyRootfs = options.ReadOnlyRootfs,
                CapDrop = ["ALL"],
                SecurityOpt = ["no-new-privileges"],
                IpcMode = "private",
                CgroupnsMode = "private",
                Tmpfs = new Dictionary<string, string>(StringComparer.Ordinal)
                {
                    [ScratchPath] = string.Create(CultureInfo.InvariantCulture, $"rw,noexec,nosuid,nodev,mode=1777,size={options.ScratchMB * Megabyte}"),
                },
                LogConfig = new LogConfig { Type = "none" }, // or the engine would keep every message on its disk
                Mounts = [UploadMount(uploads), .. options.Mounts.Select(mount => Bind(mount.Value, mount.Key))],
            },
        };
    }

    private static Mount UploadMount(string? directory) => directory is null
        ? new Mount { Type = "volume", Target = UploadPath, VolumeOptions = new VolumeOptions { NoCopy = true } }
        : Bind(directory, UploadPath);

    private static Mount Bind(string source, string target) => new() { Type = "bind", Source = source, Target = target, ReadOnly = true };
}
