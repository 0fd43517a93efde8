namespace DeepRecall.Tests.Configuration;

public sealed class SchemaTests
{
    /// <summary>With <c>DEEPRECALL_WRITE_SCHEMA=1</c> the file is written, not compared.</summary>
    [Fact]
    public void Schema_IsThatOfTheOptions()
    {
        var schema = SchemaWriter.Write();
        if (Environment.GetEnvironmentVariable("DEEPRECALL_WRITE_SCHEMA") == "1")
        {
            File.WriteAllText(BuildPaths.Schema, schema);
        }

        Assert.Equal(schema, File.ReadAllText(BuildPaths.Schema).ReplaceLineEndings("\n"));
    }
}
