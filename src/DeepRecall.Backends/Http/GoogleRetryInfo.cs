using System.Globalization;
using System.Text.Json;

namespace DeepRecall.Backends.Http;

/// <summary>The wait that Google's error bodies ask for (<c>google.rpc.RetryInfo</c>), where other providers use a header.</summary>
internal static class GoogleRetryInfo
{
    /// <summary>Finds the wait; none where a quota of the day is used up, because the delay that is told then is not long enough.</summary>
    public static TimeSpan? Find(string body)
    {
        if (!body.Contains("google.rpc.RetryInfo", StringComparison.Ordinal) || body.Contains("PerDay", StringComparison.Ordinal))
        {
            return null;
        }

        try
        {
            using var json = JsonDocument.Parse(body);
            foreach (var detail in json.RootElement.GetProperty("error").GetProperty("details").EnumerateArray())
            {
                if (detail.TryGetProperty("retryDelay", out var delay)
                    && double.TryParse(delay.GetString()?.TrimEnd('s'), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)
                    && seconds < TimeSpan.MaxValue.TotalSeconds)
                {
                    return TimeSpan.FromSeconds(seconds);
                }
            }
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            // Not the form that Google documents: then there is no wait to honour.
        }

        return null;
    }
}
