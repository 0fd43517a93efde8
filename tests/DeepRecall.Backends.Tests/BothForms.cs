namespace DeepRecall.Backends.Tests;

/// <summary>Every case once unstreamed and once streamed.</summary>
internal static class BothForms
{
    public static TheoryData<string, bool> Of(IEnumerable<string> names)
    {
        var data = new TheoryData<string, bool>();
        foreach (var name in names)
        {
            data.Add(name, false);
            data.Add(name, true);
        }

        return data;
    }
}
