using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Google.Protobuf;

namespace DeepRecall.Sandboxes.Connect;

/// <summary>A method of a Connect service: where it is, and how its messages are written and read.</summary>
/// <param name="Path">The service and the method, as in <c>process.Process/Start</c>.</param>
/// <param name="Codec">The name of the messages' form on the wire, <c>json</c> or <c>proto</c>.</param>
/// <param name="Write">Makes bytes of a request.</param>
/// <param name="Read">Makes a response of bytes, which are valid only during the call.</param>
internal sealed record ConnectMethod<TRequest, TResponse>(
    string Path,
    string Codec,
    Func<TRequest, byte[]> Write,
    Func<ReadOnlyMemory<byte>, TResponse> Read);

/// <summary>The two forms of messages.</summary>
internal static class ConnectMethod
{
    /// <summary>A method whose messages are JSON; members that are not known are skipped, as proto3 asks.</summary>
    public static ConnectMethod<TRequest, TResponse> Json<TRequest, TResponse>(string path, JsonTypeInfo<TRequest> request, JsonTypeInfo<TResponse> response)
        where TResponse : notnull => new(
            path,
            "json",
            message => JsonSerializer.SerializeToUtf8Bytes(message, request),
            bytes => JsonSerializer.Deserialize(bytes.Span, response) ?? throw new JsonException("null is no message"));

    /// <summary>A method whose messages are in the binary form.</summary>
    public static ConnectMethod<TRequest, TResponse> Proto<TRequest, TResponse>(string path, MessageParser<TResponse> parser)
        where TRequest : IMessage<TRequest>
        where TResponse : IMessage<TResponse> => new(
            path,
            "proto",
            message => message.ToByteArray(),
            bytes => parser.ParseFrom(bytes.Span));
}
