using System.Globalization;
using DeepRecall.Diagnostics;
using DeepRecall.Trajectory;

namespace DeepRecall.Budgets;

/// <summary>What a request may spend, over all its depths and threads: one ledger for the whole tree.</summary>
/// <remarks>
/// A model call's worst case is reserved before it and settled with what it really took after it, so what is spent and what is
/// held together never pass a limit. A call that would fit once others have settled waits for them; one that would not is refused.
/// </remarks>
internal sealed class BudgetLedger
{
    /// <summary>Fewer output tokens than this are no reply; a call that asks for fewer itself may have them.</summary>
    private const int LeastOutput = 256;

    private readonly Lock _lock = new();
    private readonly long? _maxTokens;
    private readonly decimal? _maxCost;
    private readonly int? _maxSubcalls;
    private readonly int? _maxSearches;
    private readonly List<TaskCompletionSource> _waiting = [];
    private long _tokens;
    private long _heldTokens;
    private decimal _cost;
    private decimal _heldCost;
    private int _subcalls;
    private int _searches;

    public BudgetLedger(DeepRecallOptions options, ModelPricing? rootPricing)
    {
        _maxTokens = options.MaxTokens;
        _maxCost = options.MaxCostUsd;
        _maxSubcalls = options.MaxSubcalls;
        _maxSearches = options.MaxSearchCalls;
        IsMetered = _maxTokens is not null || _maxCost is not null;
        Reserve = IsMetered ? ClosingReserve.For(_maxTokens, _maxCost, rootPricing) : ClosingReserve.Free;
    }

    /// <summary>Whether tokens or cost have a limit, so that calls have to be reserved.</summary>
    public bool IsMetered { get; }

    /// <summary>What is kept for asking for an answer when everything else is spent.</summary>
    public ClosingReserve Reserve { get; }

    /// <summary>What is held at this moment, for tests.</summary>
    internal (long Tokens, decimal Cost) Held
    {
        get
        {
            lock (_lock)
            {
                return (_heldTokens, _heldCost);
            }
        }
    }

    /// <summary>Counts a sub-call, or says why there can be none.</summary>
    public string? CountSubcall() => Count(ref _subcalls, _maxSubcalls, "sub-calls", nameof(DeepRecallOptions.MaxSubcalls));

    /// <summary>Counts a search, or says why there can be none.</summary>
    public string? CountSearch() => Count(ref _searches, _maxSearches, "searches", nameof(DeepRecallOptions.MaxSearchCalls));

    /// <summary>Reserves the worst case of a model call, if need be with a shorter reply than was asked for.</summary>
    /// <param name="input">The most tokens that the prompt can have.</param>
    /// <param name="output">The tokens that the reply may have.</param>
    /// <param name="pricing">What they cost.</param>
    /// <param name="closing">Whether this is the call that <see cref="Reserve"/> is kept for.</param>
    /// <param name="cancellationToken">Ends the wait for other calls to settle.</param>
    /// <exception cref="LimitException">It does not fit, and will not.</exception>
    public async ValueTask<Reservation> ReserveAsync(long input, int output, ModelPricing? pricing, bool closing, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task settled;
            lock (_lock)
            {
                var least = Math.Min(output, LeastOutput);
                var possible = Room(input, output, pricing, closing, withHeld: false);
                if (possible < least)
                {
                    throw Refuse(input, least, pricing, closing);
                }

                if (Room(input, output, pricing, closing, withHeld: true) >= possible)
                {
                    return Hold(input, (int)possible, pricing);
                }

                var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _waiting.Add(source);
                settled = source.Task;
            }

            await settled.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private string? Count(ref int count, int? limit, string what, string option)
    {
        lock (_lock)
        {
            if (count >= limit)
            {
                Telemetry.LimitHit(option);
                return string.Create(CultureInfo.InvariantCulture, $"all {limit:N0} {what} ({option}) are used, 0 are left; go on with what you have");
            }

            count++;
            return null;
        }
    }

    /// <summary>How many of the wanted output tokens fit; negative when not even the prompt does.</summary>
    private long Room(long input, int output, ModelPricing? pricing, bool closing, bool withHeld)
    {
        long room = output;
        if (_maxTokens is { } tokens)
        {
            room = Math.Min(room, tokens - _tokens - (withHeld ? _heldTokens : 0) - (closing ? 0 : Reserve.Tokens) - input);
        }

        if (_maxCost is { } cost && pricing is not null)
        {
            var left = cost - _cost - (withHeld ? _heldCost : 0) - (closing ? 0 : Reserve.CostUsd) - pricing.WorstCase(input, 0);
            room = left < 0 ? -1
                : pricing.OutputPerMillion == 0 ? room
                : Math.Min(room, (long)Math.Floor(Math.Min(left / pricing.OutputPerMillion * 1_000_000m, int.MaxValue)));
        }

        return room;
    }

    private Reservation Hold(long input, int output, ModelPricing? pricing)
    {
        var held = new Reservation(this, input, output, pricing);
        _heldTokens += held.Tokens;
        _heldCost += held.CostUsd;
        return held;
    }

    private LimitException Refuse(long input, int output, ModelPricing? pricing, bool closing)
    {
        if (_maxTokens is { } tokens && tokens - _tokens - (closing ? 0 : Reserve.Tokens) < input + output)
        {
            return new LimitException(StopReason.MaxTokens, string.Create(
                CultureInfo.InvariantCulture,
                $"the token budget ({nameof(DeepRecallOptions.MaxTokens)}) does not allow this call: {_tokens:N0} of {tokens:N0} tokens are used, {Math.Max(0, tokens - _tokens - Reserve.Tokens):N0} are left for calls, and this one can take {input + output:N0}; shorten the prompt, or answer with what you have"));
        }

        var left = Math.Max(0, _maxCost!.Value - _cost - Reserve.CostUsd);
        return new LimitException(StopReason.MaxCost, string.Create(
            CultureInfo.InvariantCulture,
            $"the cost budget ({nameof(DeepRecallOptions.MaxCostUsd)}) does not allow this call: {_cost:0.######} of {_maxCost:0.######} USD are spent, {left:0.######} are left for calls, and this one can cost {pricing!.WorstCase(input, output):0.######}; shorten the prompt, or answer with what you have"));
    }

    private void Settle(Reservation held, long tokens, decimal cost)
    {
        TaskCompletionSource[] waiting;
        lock (_lock)
        {
            _heldTokens -= held.Tokens;
            _heldCost -= held.CostUsd;
            _tokens += tokens;
            _cost += cost;
            waiting = [.. _waiting];
            _waiting.Clear();
        }

        foreach (var waiter in waiting)
        {
            waiter.TrySetResult();
        }
    }

    /// <summary>The worst case of a call under way. Settled once; what comes later is not heard.</summary>
    internal sealed class Reservation(BudgetLedger ledger, long input, int output, ModelPricing? pricing)
    {
        private int _settled;

        /// <summary>The tokens that the reply may have.</summary>
        public int Output => output;

        public long Tokens => input + output;

        public decimal CostUsd { get; } = pricing?.WorstCase(input, output) ?? 0;

        /// <summary>Replaces the worst case by what the call took.</summary>
        public void Settle(long tokens, decimal costUsd)
        {
            if (Interlocked.Exchange(ref _settled, 1) == 0)
            {
                ledger.Settle(this, tokens, costUsd);
            }
        }

        /// <summary>The call did not come to pass.</summary>
        public void Release() => Settle(0, 0);

        /// <summary>Nobody knows what the call took: it counts with its worst case.</summary>
        public void Keep() => Settle(Tokens, CostUsd);
    }
}
