using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using DeepRecall.Sandboxing;

namespace DeepRecall.Sandboxes.Cloud;

/// <summary>Makes exceptions of a service's answers that say what was refused, why, and what to do about it.</summary>
/// <param name="service">The service's name as users know it.</param>
/// <param name="hint">What a user can do about an error of a kind, as a sentence; <see langword="null"/> for none.</param>
/// <param name="secrets">What must never be repeated, whatever a service says.</param>
internal sealed class CloudErrors(string service, Func<SandboxErrorKind, string?> hint, params string?[] secrets)
{
    private const int MaxMessage = 500;

    private readonly ConcurrentQueue<string> _secrets = new(secrets.OfType<string>().Where(secret => secret.Length > 0));

    public string Service => service;

    /// <summary>Adds what must never be repeated either, as a token that was renewed.</summary>
    public void AddSecret(string secret)
    {
        if (secret.Length > 0)
        {
            _secrets.Enqueue(secret);
        }
    }

    /// <summary>An error that the service told.</summary>
    /// <param name="action">What was tried, as in "create a sandbox".</param>
    /// <param name="status">The status it answered with.</param>
    /// <param name="body">The answer's body.</param>
    /// <param name="retryAfter">How long it asks to wait.</param>
    public SandboxException Refused(string action, HttpStatusCode status, string body, TimeSpan? retryAfter = null)
    {
        var said = MessageIn(body);
        var wait = retryAfter is { } after ? $" It asks to wait for {after.TotalSeconds:0.#} seconds." : string.Empty;
        return Failed(KindOf(status, said), action, $"{(int)status} ({status}){(said.Length == 0 ? string.Empty : $": {said}")}", null, wait);
    }

    /// <summary>An error of any other origin.</summary>
    public SandboxException Failed(SandboxErrorKind kind, string action, string reason, Exception? cause = null, string more = "")
    {
        var text = Redact(reason);
        var advice = hint(kind) is { } words ? $" {words}" : string.Empty;
        return new SandboxException($"{service} could not {action}: {text}{(text.EndsWith('.') ? string.Empty : ".")}{more}{advice}", Safe(cause)) { Kind = kind };
    }

    /// <summary>Takes the secrets out of a text.</summary>
    public string Redact(string text)
    {
        foreach (var secret in _secrets)
        {
            text = text.Replace(secret, "[redacted]", StringComparison.Ordinal);
        }

        return text;
    }

    /// <summary>An exception as the cause of another one; none when it would tell a secret.</summary>
    public Exception? Safe(Exception? cause)
    {
        var text = cause?.ToString() ?? string.Empty;
        return _secrets.Any(secret => text.Contains(secret, StringComparison.Ordinal)) ? null : cause;
    }

    /// <summary>The kind of an error with a status, and of one that hides behind another status, as its text shows.</summary>
    public static SandboxErrorKind KindOf(HttpStatusCode status, string said) => (int)status switch
    {
        401 => SandboxErrorKind.Authentication,
        402 => SandboxErrorKind.Quota,
        400 or 403 or 422 or 429 when Says(said, "quota", "credit", "billing", "payment", "insufficient balance") => SandboxErrorKind.Quota,
        403 => SandboxErrorKind.Authentication,
        404 => SandboxErrorKind.NotFound,
        400 or 422 when Says(said, "not found", "does not exist", "no such", "unknown template", "unknown image") => SandboxErrorKind.NotFound,
        408 => SandboxErrorKind.Timeout,
        409 or 410 => SandboxErrorKind.Conflict,
        429 => SandboxErrorKind.RateLimit,
        >= 500 => SandboxErrorKind.Server,
        >= 400 => SandboxErrorKind.BadRequest,
        _ => SandboxErrorKind.Other,
    };

    /// <summary>What an error body says, in whichever of the usual members; else its beginning.</summary>
    public static string MessageIn(string body)
    {
        var text = body.Trim();
        if (text.StartsWith('{'))
        {
            try
            {
                using var document = JsonDocument.Parse(text);
                foreach (var name in (string[])["message", "detail", "error", "error_message", "title"])
                {
                    if (document.RootElement.TryGetProperty(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined))
                    {
                        text = value.ValueKind == JsonValueKind.Object && value.TryGetProperty("message", out var inner) ? inner.ToString() : value.ToString();
                        break;
                    }
                }
            }
            catch (JsonException)
            {
            }
        }
        else if (text.StartsWith('<'))
        {
            return string.Empty; // a proxy's page
        }

        return text.Length <= MaxMessage ? text : $"{text[..MaxMessage]}...";
    }

    private static bool Says(string text, params string[] words) =>
        words.Any(word => text.Contains(word, StringComparison.OrdinalIgnoreCase));
}
