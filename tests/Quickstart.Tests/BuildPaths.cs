using System.Reflection;

namespace Quickstart.Tests;

/// <summary>Where the build found what these tests are about.</summary>
internal static class BuildPaths
{
    public static string Quickstart => Get("QuickstartPath");

    public static string Readme => Get("ReadmePath");

    public static string Snippets => Get("SnippetsPath");

    private static string Get(string key) =>
        typeof(BuildPaths).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;
}
