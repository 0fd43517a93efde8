using System.Text;

namespace DeepRecall.Loop;

/// <summary>A text with <c>{{tokens}}</c>. Values are put in as they are and never looked at again, whatever braces they have.</summary>
internal sealed class PromptTemplate(string text)
{
    public static PromptTemplate Resource(string name) => new(Resources.Read($"prompts/{name}.md"));

    /// <summary>Fills the tokens in; one without a value is left as it stands.</summary>
    public string Fill(IReadOnlyDictionary<string, string> values)
    {
        var result = new StringBuilder(text.Length);
        var rest = text.AsSpan();
        while (true)
        {
            var start = rest.IndexOf("{{");
            var end = start < 0 ? -1 : rest[start..].IndexOf("}}");
            if (end < 0)
            {
                return result.Append(rest).ToString();
            }

            result.Append(rest[..start]);
            var token = rest.Slice(start, end + 2);
            if (values.TryGetValue(token[2..^2].ToString(), out var value))
            {
                result.Append(value);
            }
            else
            {
                result.Append(token);
            }

            rest = rest[(start + token.Length)..];
        }
    }
}
