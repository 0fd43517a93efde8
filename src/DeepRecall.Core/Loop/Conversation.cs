using Microsoft.Extensions.AI;

namespace DeepRecall.Loop;

/// <summary>The messages of a run: what the model is sent, and all there was.</summary>
internal sealed class Conversation
{
    private readonly List<ChatMessage> _sent = [];
    private readonly List<ChatMessage> _all = [];
    private int _pinned;
    private int _summarised;

    /// <summary>What the model is sent.</summary>
    public IReadOnlyList<ChatMessage> Messages => _sent;

    /// <summary>Every message but the system prompt, none of them shortened or summarised.</summary>
    public IReadOnlyList<ChatMessage> All => _all;

    /// <summary>Those of <see cref="All"/> that the model is not sent any more.</summary>
    public IReadOnlyList<ChatMessage> Summarised => _all[..(_summarised + 1)];

    /// <summary>How often the conversation was summarised.</summary>
    public int Compactions { get; private set; }

    /// <summary>Whether there is a turn to summarise.</summary>
    public bool HasTurns => _sent.Count > _pinned + 1;

    /// <summary>Begins with the messages that always stay.</summary>
    public void Begin(ChatMessage system, ChatMessage first)
    {
        _sent.AddRange([system, first]);
        _all.Add(first);
        _pinned = _sent.Count;
    }

    public void AddTurn(string reply, string told)
    {
        ChatMessage[] turn = [new(ChatRole.Assistant, reply), new(ChatRole.User, told)];
        _sent.AddRange(turn);
        _all.AddRange(turn);
    }

    /// <summary>Adds to what the model was told last.</summary>
    public void AddRemark(string remark)
    {
        var message = new ChatMessage(ChatRole.User, $"{_sent[^1].Text}\n\n{remark.TrimEnd()}");
        _sent[^1] = message;
        _all[^1] = message;
    }

    /// <summary>How many characters the turns have that the model is sent.</summary>
    public long Length => _sent.Skip(_pinned).Sum(message => (long)message.Text.Length);

    /// <summary>Puts a summary in the place of the turns.</summary>
    /// <param name="summary">The summary.</param>
    /// <param name="remark">What the model is told about it.</param>
    /// <param name="keepLast">Whether the last turn stays as it is, because the model has not answered to it yet.</param>
    public void Compact(string summary, string remark, bool keepLast)
    {
        var last = _sent[^2..];
        _sent.RemoveRange(_pinned, _sent.Count - _pinned);
        _sent.AddRange([new(ChatRole.Assistant, summary), new(ChatRole.User, remark)]);
        if (keepLast)
        {
            _sent.AddRange(last);
        }

        _summarised = _all.Count - 1 - (keepLast ? 2 : 0);
        Compactions++;
    }
}
