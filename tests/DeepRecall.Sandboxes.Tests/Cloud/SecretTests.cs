using DeepRecall.Sandboxes.Cloud;
using DeepRecall.Sandboxes.E2B;
using DeepRecall.Sandboxes.Modal;
using DeepRecall.Sandboxes.Modal.Wire;
using DeepRecall.Sandboxes.Prime;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Tests.Cloud;

public sealed class SecretTests
{
    private const string Secret = "s3cret";

    [Fact]
    public void Records_DoNotTellTheirKeysAndTokens() => Assert.All(
        new object[]
        {
            E2BSettings.Resolve(new() { ApiKey = Secret }, _ => null),
            new E2BCreated("i1", "0.6", Secret, null),
            PrimeSettings.Resolve(new() { ApiKey = Secret }, _ => null),
            new PrimeAuth("https://gateway.example", "users", "job", Secret, null),
            new ModalTask("sb-1", "ta-1", new CommandRouterAccess { Jwt = Secret, Url = "https://worker.example" }),
        },
        record => Assert.DoesNotContain(Secret, record.ToString(), StringComparison.Ordinal));

    [Fact]
    public void CausesThatTellASecret_AreDropped()
    {
        var errors = new CloudErrors("Service", _ => null, Secret);
        errors.AddSecret("renewed");
        Assert.Null(errors.Failed(SandboxErrorKind.Server, "work", "no", new IOException("x", new IOException($"the token {Secret} is bad"))).InnerException);
        Assert.Null(errors.Failed(SandboxErrorKind.Server, "work", "no", new IOException("the token renewed is bad")).InnerException);
        var cause = new IOException("harmless");
        var error = errors.Failed(SandboxErrorKind.Server, "work", $"{Secret} and renewed", cause);
        Assert.Same(cause, error.InnerException);
        Assert.Contains("[redacted] and [redacted]", error.Message, StringComparison.Ordinal);
    }
}
