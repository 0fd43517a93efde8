using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>Calls the methods of a Connect service (connectrpc.com/docs/protocol): one answer, or a stream of them.</summary>
/// <param name="handler">The way to the network; it stays its owner's.</param>
/// <param name="baseUrl">Where the service is; paths of methods are put behind it.</param>
/// <param name="authorize">
/// Puts the headers of a call onto its request; is called again, told to renew what it knows, when the service refused them.
/// </param>
[SuppressMessage("Design", "CA1001", Justification = "The invoker holds nothing but the handler, which is not its own.")]
internal sealed class ConnectClient(HttpMessageHandler handler, Uri baseUrl, Func<HttpRequestMessage, bool, CancellationToken, ValueTask> authorize)
{
    private const int MaxMessageBytes = 16 * 1024 * 1024;

    private readonly HttpMessageInvoker _invoker = new(handler, disposeHandler: false);

    /// <summary>Whether a call that is refused as unauthenticated is made again with renewed headers.</summary>
    public bool CanRenew { get; init; }

    /// <summary>Calls a method with one answer.</summary>
    /// <exception cref="ConnectException">The service answered with an error, or was not reached.</exception>
    public async Task<TResponse> CallAsync<TRequest, TResponse>(ConnectMethod<TRequest, TResponse> method, TRequest request, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(method.Path, $"application/{method.Codec}", method.Write(request), null, cancellationToken).ConfigureAwait(false);
        var body = await ReadAsync(response, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw ToException(response.StatusCode, body);
        }

        return Parse(method, body);
    }

    /// <summary>Calls a method that answers with a stream; the messages come as they arrive, and no message comes after an error.</summary>
    /// <param name="method">The method.</param>
    /// <param name="request">The one message that is sent.</param>
    /// <param name="headers">Further headers of the request.</param>
    /// <param name="cancellationToken">Ends the stream.</param>
    /// <exception cref="ConnectException">The service ended the stream with an error, or the stream broke.</exception>
    public async IAsyncEnumerable<TResponse> StreamAsync<TRequest, TResponse>(
        ConnectMethod<TRequest, TResponse> method,
        TRequest request,
        IReadOnlyDictionary<string, string>? headers,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await SendAsync(method.Path, $"application/connect+{method.Codec}", EnvelopeReader.Wrap(method.Write(request)), headers, cancellationToken).ConfigureAwait(false);
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw ToException(response.StatusCode, await ReadAsync(response, cancellationToken).ConfigureAwait(false));
        }

        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            var envelopes = new EnvelopeReader(stream, MaxMessageBytes);
            while (await NextAsync(method, envelopes, cancellationToken).ConfigureAwait(false) is (true, var message))
            {
                yield return message!;
            }
        }
    }

    private static async ValueTask<(bool Found, TResponse? Message)> NextAsync<TRequest, TResponse>(ConnectMethod<TRequest, TResponse> method, EnvelopeReader envelopes, CancellationToken cancellationToken)
    {
        try
        {
            var (isEnd, bytes) = await envelopes.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (!isEnd)
            {
                return (true, Parse(method, bytes));
            }

            var error = JsonSerializer.Deserialize(bytes.Span, ConnectJson.Default.ConnectEndOfStream)?.Error;
            return error is null ? default : throw new ConnectException(error.Code ?? "unknown", error.Message ?? "an error without a message");
        }
        catch (Exception error) when (error is IOException or HttpRequestException or JsonException)
        {
            throw new ConnectException(ConnectException.Unavailable, $"the stream broke: {error.Message}", error);
        }
    }

    private static TResponse Parse<TRequest, TResponse>(ConnectMethod<TRequest, TResponse> method, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return method.Read(bytes);
        }
        catch (Exception error) when (error is JsonException or Google.Protobuf.InvalidProtocolBufferException)
        {
            throw new ConnectException("internal", $"the answer of {method.Path} is not what the method answers: {error.Message}", error);
        }
    }

    private static ConnectException ToException(HttpStatusCode status, byte[] body)
    {
        try
        {
            if (JsonSerializer.Deserialize(body, ConnectJson.Default.ConnectError) is { Code: { } code } error)
            {
                return new ConnectException(code, error.Message ?? code);
            }
        }
        catch (JsonException)
        {
        }

        // Not the protocol's form: a proxy, or the part of the service in front of it.
        var said = Cloud.CloudErrors.MessageIn(System.Text.Encoding.UTF8.GetString(body));
        return new ConnectException(ConnectException.CodeOf(status), said.Length > 0 ? said : $"status {(int)status}");
    }

    private static async Task<byte[]> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            return await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or HttpRequestException)
        {
            throw new ConnectException(ConnectException.Unavailable, $"the answer broke off: {error.Message}", error);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(string path, string contentType, byte[] body, IReadOnlyDictionary<string, string>? headers, CancellationToken cancellationToken)
    {
        for (var renewed = false; ; renewed = true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"{baseUrl.AbsoluteUri.TrimEnd('/')}/{path}");
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(contentType);
            request.Headers.TryAddWithoutValidation("Connect-Protocol-Version", "1");
            foreach (var (name, value) in headers ?? new Dictionary<string, string>())
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }

            await authorize(request, renewed, cancellationToken).ConfigureAwait(false);
            HttpResponseMessage response;
            try
            {
                response = await _invoker.SendAsync(request, cancellationToken).ConfigureAwait(false);
            }
            catch (HttpRequestException error)
            {
                throw new ConnectException(ConnectException.Unavailable, $"the connection failed: {error.Message}", error);
            }

            if (response.StatusCode != HttpStatusCode.Unauthorized || renewed || !CanRenew)
            {
                return response;
            }

            response.Dispose();
        }
    }
}
