using System.Buffers.Text;
using System.Text.Json;

namespace DeepRecall.Sandboxes.Modal;

/// <summary>Reads when a token that is passed on unread otherwise ends (<c>exp</c>, RFC 7519).</summary>
internal static class JsonWebToken
{
    /// <summary>The token's end, or <see langword="null"/> when it names none or is no such token.</summary>
    public static DateTimeOffset? Expiry(string token)
    {
        try
        {
            var parts = token.Split('.');
            if (parts.Length < 2)
            {
                return null;
            }

            using var payload = JsonDocument.Parse(Base64Url.DecodeFromChars(parts[1]));
            return payload.RootElement.ValueKind == JsonValueKind.Object && payload.RootElement.TryGetProperty("exp", out var expiry) && expiry.TryGetDouble(out var seconds)
                ? DateTimeOffset.UnixEpoch.AddSeconds(seconds)
                : null;
        }
        catch (Exception error) when (error is FormatException or JsonException or ArgumentException)
        {
            return null;
        }
    }
}
