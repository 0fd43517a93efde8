using System.ClientModel;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.AI;
using OpenAI.Chat;

namespace DeepRecall.Backends.OpenAI;

/// <summary>Errors that servers and gateways tell after they have said that all is well: in a body with status 200, or in the middle of a stream.</summary>
/// <remarks>The SDK takes the first for a completion without choices, and passes the second over, so that half a reply looks like a whole one.</remarks>
internal static class OpenAIErrors
{
    /// <summary>The status that an error's code stands for; <see langword="null"/> when the body holds a completion.</summary>
    public static int? StatusOf(byte[] body)
    {
        if (body.AsSpan().IndexOf("\"error\""u8) < 0)
        {
            return null;
        }

        try
        {
            using var json = JsonDocument.Parse(body);
            return ErrorOf(json.RootElement) is { } error ? StatusOf(error) : null;
        }
        catch (JsonException)
        {
            return null; // the SDK says what is wrong with it
        }
    }

    /// <exception cref="ClientResultException">The update of a stream tells an error.</exception>
    public static void ThrowIfError(ChatResponseUpdate update, BackendSettings settings)
    {
#pragma warning disable SCME0001 // the only way to a field that the SDK does not know
        if (update.RawRepresentation is not StreamingChatCompletionUpdate raw || !raw.Patch.TryGetJson("$.error"u8, out var json))
#pragma warning restore SCME0001
        {
            return;
        }

        using var error = JsonDocument.Parse(json);
        if (error.RootElement.ValueKind == JsonValueKind.Object)
        {
            throw new StreamException(settings.Redact(error.RootElement.GetRawText()), StatusOf(error.RootElement));
        }
    }

    private static JsonElement? ErrorOf(JsonElement root) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object ? error : null;

    private static int StatusOf(JsonElement error)
    {
        var text = error.TryGetProperty("code", out var code) ? code.ToString() : string.Empty;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var status) && status is >= 400 and < 600 ? status : 500;
    }

    private sealed class StreamException : ClientResultException
    {
        public StreamException(string error, int status)
            : base($"The stream broke off with an error: {error}") => Status = status;
    }
}
