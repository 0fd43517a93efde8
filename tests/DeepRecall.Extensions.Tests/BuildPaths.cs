using System.Reflection;

namespace DeepRecall.Tests;

/// <summary>Where the build found what these tests are about.</summary>
internal static class BuildPaths
{
    public static string HostedApp => Get("HostedApp");

    public static string WebApi => Get("WebApi");

    public static string Examples => Get("Examples");

    public static string Schema => Get("Schema");

    private static string Get(string key) =>
        typeof(BuildPaths).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;
}
