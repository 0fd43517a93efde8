using System.Text;
using CsCheck;
using DeepRecall.Repl;

namespace DeepRecall.Tests.Repl;

public sealed class RpcMessageTests
{
    [Fact]
    public void Answer_HasItsNumberAndItsResult()
    {
        var message = Parse("""{"jsonrpc":"2.0","id":7,"result":{"x":[1,2]}}""");
        Assert.Equal(7, message.Number);
        Assert.Null(message.Method);
        Assert.Null(message.CallId);
        Assert.Equal("""{"x":[1,2]}""", Encoding.UTF8.GetString(message.Body));
    }

    [Fact]
    public void Call_HasItsIdItsMethodAndItsParameters()
    {
        var message = Parse("""{"params":{"name":"f"},"method":"call","extra":{"deep":[{}]},"id":"c12","jsonrpc":"2.0"}""");
        Assert.Equal("c12", message.CallId);
        Assert.Null(message.Number);
        Assert.Equal("call", message.Method);
        Assert.Equal("""{"name":"f"}""", Encoding.UTF8.GetString(message.Body));
    }

    [Fact]
    public void Notification_HasNoId()
    {
        var message = Parse("""{"method":"output","params":null}""");
        Assert.Equal("output", message.Method);
        Assert.Null(message.Number);
        Assert.Null(message.CallId);
    }

    [Theory]
    [InlineData("""{"id":1,"error":{"code":-1,"message":"it failed","data":{"message":"not this"}}}""", "it failed")]
    [InlineData("""{"id":1,"error":{"code":-1}}""", "an error without a message")]
    [InlineData("""{"id":1,"error":"text"}""", "an error without a message")]
    [InlineData("""{"id":1,"error":[{"message":"x"}]}""", "an error without a message")]
    [InlineData("""{"id":1,"error":{"message":{"message":"x"}}}""", "an error without a message")]
    public void Error_HasItsMessage(string line, string expected) => Assert.Equal(expected, Parse(line).Error);

    [Theory]
    [InlineData("9223372036854775807", long.MaxValue, null)]
    [InlineData("-1", -1L, null)]
    [InlineData("9223372036854775808", null, null)]
    [InlineData("1.5", null, null)]
    [InlineData("1e400", null, null)]
    [InlineData("\"c1\"", null, "c1")]
    [InlineData("\"\"", null, "")]
    [InlineData("null", null, null)]
    [InlineData("true", null, null)]
    [InlineData("[1,{\"a\":2}]", null, null)]
    [InlineData("{\"id\":1}", null, null)]
    public void IdOfAnyKind_IsRead(string id, long? number, string? callId)
    {
        var message = Parse($$"""{"id":{{id}},"method":"m"}""");
        Assert.Equal((number, callId, "m"), (message.Number, message.CallId, message.Method));
    }

    [Theory]
    [InlineData("")]
    [InlineData("$ ")]
    [InlineData("{")]
    [InlineData("[1]")]
    [InlineData("null")]
    [InlineData("{\"id\":1")]
    [InlineData("{\"id\":1,}")]
    [InlineData("{'id':1}")]
    [InlineData("{\"method\":\"\\ud800\"}")]
    [InlineData("{\"id\":\"\\udc00\",\"method\":\"call\"}")]
    [InlineData("{\"id\":1,\"error\":{\"message\":\"\\ud800\"}}")]
    [InlineData("{\"id\":1,\"result\":tru}")]
    public void LineThatIsNoMessage_IsRefused(string line) => Assert.False(RpcMessage.TryParse(Encoding.UTF8.GetBytes(line), out _));

    [Fact]
    public void TextThatIsNotUtf8_IsRefused() => Assert.False(RpcMessage.TryParse([.. "{\"method\":\""u8, 0xFF, 0xC3, .. "\"}"u8], out _));

    [Fact]
    public void TooDeeplyNestedText_IsRefused() =>
        Assert.False(RpcMessage.TryParse(Encoding.UTF8.GetBytes("{\"result\":" + new string('[', 100_000)), out _));

    [Fact]
    public void AnyLine_IsReadWithoutAnException()
    {
        var fragment = Gen.OneOf(
            Gen.OneOf("{", "}", "[", "]", ":", ",", "\"", "\\ud800", "\\", "\"id\"", "\"method\"", "\"params\"", "\"result\"", "\"error\"", "\"message\"", "1", "-", "1e9", "null", "true", " ")
                .Select(Encoding.UTF8.GetBytes),
            Gen.Byte.Array[0, 3]);
        fragment.Array[0, 30].Sample(
            fragments =>
            {
                byte[] line = [(byte)'{', .. fragments.SelectMany(bytes => bytes)];
                Assert.Equal(RpcMessage.TryParse(line, out var message), message is not null);
            },
            iter: 50_000,
            threads: 1);
    }

    private static RpcMessage Parse(string line)
    {
        Assert.True(RpcMessage.TryParse(Encoding.UTF8.GetBytes(line), out var message));
        return message;
    }
}
