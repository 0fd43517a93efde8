using DeepRecall.Sandboxes.Daytona;
using DeepRecall.Sandboxes.Docker;
using DeepRecall.Sandboxes.E2B;
using DeepRecall.Sandboxes.Local;
using DeepRecall.Sandboxes.Modal;
using DeepRecall.Sandboxes.Prime;
using DeepRecall.Sandboxing;

namespace DeepRecall;

/// <summary>An entry of <see cref="DeepRecallServiceOptions.Environments"/>: which environment it is, and its options.</summary>
/// <remarks>
/// In configuration the options stand in the entry itself: <c>"docker": { "Image": "python:3.12-slim" }</c>. In code they are those of the
/// property that is named as the provider: <c>new EnvironmentOptions { Docker = { Image = "python:3.12-slim" } }</c>.
/// </remarks>
public sealed class EnvironmentOptions
{
    /// <summary>Gets or sets which environment it is, one of <see cref="EnvironmentNames"/>. Default: the entry's key.</summary>
    public string? Provider { get; set; }

    /// <summary>Gets how many idle processes are kept ready. With a <see cref="SandboxPoolOptions.Size"/> they are started with the host; without one, after the first request.</summary>
    public SandboxPoolOptions Pool { get; } = new();

    /// <summary>Gets the options of <c>local</c>.</summary>
    public LocalSandboxOptions Local { get; } = new();

    /// <summary>Gets the options of <c>docker</c>.</summary>
    public DockerSandboxOptions Docker { get; } = new();

    /// <summary>Gets the options of <c>modal</c>.</summary>
    public ModalSandboxOptions Modal { get; } = new();

    /// <summary>Gets the options of <c>e2b</c>.</summary>
    public E2BSandboxOptions E2B { get; } = new();

    /// <summary>Gets the options of <c>daytona</c>.</summary>
    public DaytonaSandboxOptions Daytona { get; } = new();

    /// <summary>Gets the options of <c>prime</c>.</summary>
    public PrimeSandboxOptions Prime { get; } = new();
}
