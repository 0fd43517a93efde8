namespace DeepRecall.Sessions;

/// <summary>Where the REPLs of conversations are kept from request to request (<see cref="DeepRecallOptions.Persistent"/>).</summary>
/// <remarks>Implementations are thread-safe. One store may serve many clients; a conversation belongs to the client that began it.</remarks>
public interface ISessionStore
{
    /// <summary>Takes a conversation for one request; a request that comes while another one has it waits.</summary>
    /// <param name="conversationId">The conversation, an id of the caller's own or one that a response told.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The conversation; disposing the lease gives it back.</returns>
    ValueTask<ISessionLease> AcquireAsync(string conversationId, CancellationToken cancellationToken);

    /// <summary>Ends a conversation and its REPL, after the request that has it, if one does.</summary>
    /// <param name="conversationId">The conversation.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether there was one.</returns>
    ValueTask<bool> RemoveAsync(string conversationId, CancellationToken cancellationToken = default);
}

/// <summary>A conversation, for the time of one request.</summary>
public interface ISessionLease : IAsyncDisposable
{
    /// <summary>Gets or sets what is kept of the conversation; <see langword="null"/> for a new one. What is set here when the lease is disposed is kept.</summary>
    ConversationSession? Session { get; set; }

    /// <summary>Gets why an earlier REPL of this conversation is gone, as a clause such as <c>it was idle for 10 minutes</c>; <see langword="null"/> when there was none.</summary>
    string? Lost { get; }
}
