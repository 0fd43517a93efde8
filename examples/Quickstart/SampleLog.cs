using System.Globalization;
using System.Text;

namespace Quickstart;

/// <summary>A made-up log: much noise, and a few notes in plain prose that hold what the question asks for.</summary>
/// <remarks>The same seed makes the same log, byte for byte.</remarks>
internal sealed class SampleLog
{
    public const string Question = "Which service had the most payment failures, and what did its operators say the causes were?";
    public const long Size = 10 * 1024 * 1024;

    private static readonly DateTime Start = new(2026, 3, 2, 0, 0, 0, DateTimeKind.Utc);
    private static readonly string[] Services = ["checkout", "billing", "subscriptions", "marketplace", "ticketing", "donations"];
    private static readonly string[] Paths = ["/cart", "/charge", "/payment/status", "/invoice", "/login", "/search", "/health", "/orders"];

    // How many failures, and how many notes that only sound like one: counting words finds the wrong service.
    private static readonly (int Failures, int Decoys)[] Shares = [(17, 2), (13, 12), (11, 5), (8, 3), (5, 6), (2, 4)];

    private static readonly string[] Failures =
    [
        "We could not take the money for order {0}.",
        "The charge for order {0} bounced three times and was given up.",
        "The bank turned down the transfer for order {0}, and the basket was lost.",
        "The direct debit for invoice {0} came back.",
        "Order {0} was cancelled because its payment never went through.",
        "A valid card was declined at the till, and customer {0} left without paying.",
    ];

    private static readonly string[] Decoys =
    [
        "Charges were slow around order {0}, but every payment went through.",
        "A test card was declined on purpose in drill {0}; no customer was charged.",
        "The bank moved its maintenance to slot {0}; no payment was affected.",
        "The payment page showed an old logo to customer {0}; all orders were paid.",
    ];

    private static readonly string[] Others =
    [
        "Search results were stale for an hour after import {0}.",
        "Backup {0} took twice as long as usual.",
        "A disk filled up on node {0} and was cleaned by hand.",
        "Export {0} had to be started again.",
    ];

    private static readonly string[] Causes =
    [
        "an expired certificate at the card gateway",
        "a connection pool that ran dry",
        "a clock that was two minutes behind",
        "a rate limit at the acquiring bank",
        "a fraud rule that was far too strict",
        "a DNS entry that still pointed to the old gateway",
        "a retry loop that locked the ledger",
        "a currency table that had not been loaded",
    ];

    private static readonly string[] Verdicts =
    [
        "The operators blamed {0}.",
        "According to the engineer on call, {0} caused it.",
        "It was traced to {0}.",
        "The cause, as far as the operators can tell: {0}.",
        "The night shift put it down to {0}.",
    ];

    private static readonly string[] Asides =
    [
        string.Empty,
        " The page was answered after four minutes.",
        " Two more customers called about it.",
        " The status page was updated.",
    ];

    private readonly Random _random;

    public SampleLog(int seed)
    {
        _random = new Random(seed);
        Incidents = MakeIncidents();
    }

    /// <summary>Gets the notes, in the order in which the log has them.</summary>
    public IReadOnlyList<Incident> Incidents { get; }

    /// <summary>Writes the log. An instance writes it once, because the noise goes on with the same random numbers.</summary>
    public async Task WriteAsync(Stream target, CancellationToken cancellationToken)
    {
        await using var writer = new StreamWriter(target, new UTF8Encoding(false), bufferSize: 1 << 16, leaveOpen: true) { NewLine = "\n" };
        var time = Start;
        var next = 0;
        for (long written = 0; written < Size;)
        {
            time = time.AddMilliseconds(_random.Next(1, 4000));
            var isNote = next < Incidents.Count && written >= (next + 1) * Size / (Incidents.Count + 2);
            var text = isNote ? $"NOTE {Incidents[next].Service} {Incidents[next++].Text}" : Noise();
            var line = $"{time.ToString("yyyy-MM-ddTHH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)} {text}";
            await writer.WriteLineAsync(line.AsMemory(), cancellationToken);
            written += line.Length + 1;
        }
    }

    private Incident[] MakeIncidents()
    {
        var services = Services.ToArray();
        _random.Shuffle(services);
        List<Incident> incidents = [];
        foreach (var (service, share) in services.Zip(Shares))
        {
            var causes = Causes.ToArray();
            _random.Shuffle(causes);
            incidents.AddRange(Enumerable.Range(0, share.Failures).Select(index => Make(service, Failures, causes[index % 3])));
            incidents.AddRange(Enumerable.Range(0, share.Decoys).Select(_ => Make(service, Decoys, Pick(Causes))));
            incidents.AddRange(Enumerable.Range(0, 8).Select(_ => Make(service, Others, Pick(Causes))));
        }

        var all = incidents.ToArray();
        _random.Shuffle(all);
        return all;
    }

    private Incident Make(string service, string[] stories, string cause)
    {
        var story = string.Format(CultureInfo.InvariantCulture, Pick(stories), _random.Next(10_000, 99_999));
        var verdict = string.Format(CultureInfo.InvariantCulture, Pick(Verdicts), cause);
        return new Incident(service, $"{story}{Pick(Asides)} {verdict}", cause, stories == Failures);
    }

    private string Noise()
    {
        var level = _random.Next(30) switch { 0 => "WARN", < 4 => "DEBUG", _ => "INFO" };
        return $"{level} {Pick(Services)} request={_random.Next():x8} path={Pick(Paths)} status={(level == "WARN" ? 429 : 200)} ms={_random.Next(2, 900)}";
    }

    private string Pick(string[] values) => values[_random.Next(values.Length)];
}

/// <summary>A note in the log.</summary>
/// <param name="Service">The service that wrote it.</param>
/// <param name="Text">What it wrote.</param>
/// <param name="Cause">The cause that the text gives.</param>
/// <param name="IsPaymentFailure">Whether it tells of a payment that failed.</param>
internal sealed record Incident(string Service, string Text, string Cause, bool IsPaymentFailure);
