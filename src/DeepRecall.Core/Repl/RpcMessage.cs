using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace DeepRecall.Repl;

/// <summary>A message of the worker, opened only as far as it takes to know whose it is.</summary>
/// <param name="Number">The id of the request that it answers.</param>
/// <param name="CallId">The id of a call that it makes.</param>
/// <param name="Method">The method that it calls or notifies.</param>
/// <param name="Body">Its <c>params</c> or its <c>result</c>, as JSON.</param>
/// <param name="Error">The message of its <c>error</c>.</param>
internal sealed record RpcMessage(long? Number, string? CallId, string? Method, byte[] Body, string? Error)
{
    private static readonly JsonReaderOptions ReaderOptions = new() { MaxDepth = ProtocolJson.MaxDepth };

    /// <summary>Reads a line; one that is no message, whatever else it is, gives <see langword="false"/>.</summary>
    public static bool TryParse(ReadOnlySpan<byte> line, [NotNullWhen(true)] out RpcMessage? message)
    {
        message = null;
        if (line.IsEmpty || line[0] != (byte)'{')
        {
            return false;
        }

        try
        {
            message = Parse(line);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // Text that is not JSON, or a string in it that is not Unicode.
        }

        return message is not null;
    }

    private static RpcMessage Parse(ReadOnlySpan<byte> line)
    {
        var reader = new Utf8JsonReader(line, ReaderOptions);
        long? number = null;
        string? callId = null;
        string? method = null;
        byte[] body = [];
        string? error = null;
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("id"u8))
            {
                reader.Read();
                number = reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var value) ? value : null;
                callId = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("method"u8))
            {
                reader.Read();
                method = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("params"u8) || reader.ValueTextEquals("result"u8))
            {
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                body = line[start..(int)reader.BytesConsumed].ToArray();
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                reader.Read();
                error = ReadError(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        return new RpcMessage(number, callId, method, body, error);
    }

    private static string ReadError(ref Utf8JsonReader reader)
    {
        var message = "an error without a message";
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return message;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isMessage = reader.ValueTextEquals("message"u8);
            reader.Read();
            if (isMessage && reader.TokenType == JsonTokenType.String)
            {
                message = reader.GetString()!;
            }

            reader.Skip();
        }

        return message;
    }
}
