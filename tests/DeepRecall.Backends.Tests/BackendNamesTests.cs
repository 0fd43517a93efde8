namespace DeepRecall.Backends.Tests;

public sealed class BackendNamesTests
{
    [Fact]
    public void EveryName_HasAProvider() => Assert.Equal(BackendNames.All.Order(), ProviderInfo.All.Keys.Order());
}
