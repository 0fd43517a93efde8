using System.Globalization;
using System.Text.RegularExpressions;
using DeepRecall.Sandboxes.Local.Confinement;

namespace DeepRecall.Sandboxes.Tests.Local.Confinement;

/// <summary>The table against the kernel's own headers, where they are installed.</summary>
public sealed partial class SyscallTableTests
{
    [Theory]
    [InlineData("X64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h")]
    [InlineData("Arm64", "/usr/include/asm-generic/unistd.h")]
    public void Numbers_AreThoseOfTheHeaders(string architecture, string path)
    {
        Assert.SkipUnless(File.Exists(path), $"{path} is not installed");
        var table = architecture == "X64" ? SyscallTable.X64 : SyscallTable.Arm64;
        var header = ReadHeader(path);
        Assert.True(header.Count > 250, $"{path} was not understood");
        foreach (var (name, number) in table.Numbers)
        {
            Assert.True(header.GetValueOrDefault(name, -1) == number, $"{name} is {number} in the table and {header.GetValueOrDefault(name, -1)} in {path}");
        }

        Assert.Contains(SyscallTable.Newest, header.Values);
    }

    [Fact]
    public void BothArchitectures_NameTheSameCalls()
    {
        Assert.Equal(SyscallTable.X64.Numbers.Keys, SyscallTable.Arm64.Numbers.Keys);
        Assert.All(SyscallTable.X64.Numbers.Values.Concat(SyscallTable.Arm64.Numbers.Values), number => Assert.InRange(number, -1, SyscallTable.Newest));
    }

    private static Dictionary<string, int> ReadHeader(string path)
    {
        var defined = File.ReadLines(path).Select(line => Definition().Match(line)).Where(match => match.Success)
            .GroupBy(match => match.Groups["name"].Value, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.Last().Groups["value"].Value, StringComparer.Ordinal);
        Dictionary<string, int> numbers = new(StringComparer.Ordinal);
        foreach (var (name, text) in defined.Where(pair => pair.Key.StartsWith("__NR_", StringComparison.Ordinal)))
        {
            // asm-generic names some by way of another name, which says for which word size it is.
            var value = text;
            while (defined.TryGetValue(value, out var next))
            {
                value = next;
            }

            if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                numbers[name[5..]] = number;
            }
        }

        return numbers;
    }

    [GeneratedRegex(@"^#define\s+(?<name>__NR\w*)\s+(?<value>\w+)\s*$")]
    private static partial Regex Definition();
}
