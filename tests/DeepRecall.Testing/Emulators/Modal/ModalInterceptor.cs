using DeepRecall.Sandboxes.Modal.Wire;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Status = Grpc.Core.Status;

namespace DeepRecall.Testing.Emulators.Modal;

/// <summary>What comes before and after every call: the record of it, who calls, and the faults.</summary>
internal sealed class ModalInterceptor(ModalState state) : Interceptor
{
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        var fault = await EnterAsync(context);
        var response = await continuation(request, context);
        if (fault is not null)
        {
            await fault.When;
            throw Failure(fault);
        }

        return response;
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request,
        IServerStreamWriter<TResponse> responseStream,
        ServerCallContext context,
        ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await EnterAsync(context);
        await continuation(request, responseStream, context);
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream,
        ServerCallContext context,
        ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        await EnterAsync(context);
        return await continuation(requestStream, context);
    }

    private async Task<CallFault?> EnterAsync(ServerCallContext context)
    {
        var method = context.Method[(context.Method.LastIndexOf('/') + 1)..];
        state.Emulator.Record(new ModalCall(method, context.RequestHeaders));
        var faults = state.Emulator.Faults;
        if (faults.Delay > TimeSpan.Zero)
        {
            await Task.Delay(faults.Delay, context.CancellationToken);
        }

        var fault = faults.Take(method);
        if (fault is { CarriedOut: false })
        {
            await fault.When.WaitAsync(context.CancellationToken);
            throw Failure(fault);
        }

        if (context.Method.Contains("TaskCommandRouter", StringComparison.Ordinal))
        {
            Require(state.IsGood(context.RequestHeaders.GetValue("authorization")?.Replace("Bearer ", string.Empty, StringComparison.Ordinal)), "the token has expired");
        }
        else
        {
            Require(
                context.RequestHeaders.GetValue("x-modal-token-id") == ModalEmulator.TokenId && context.RequestHeaders.GetValue("x-modal-token-secret") == ModalEmulator.TokenSecret,
                "Token ID or secret is invalid");
            Require(method == "AuthTokenGet" || state.IsGood(context.RequestHeaders.GetValue("x-modal-auth-token")), "the auth token has expired");
        }

        return fault;
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new RpcException(new Status(StatusCode.Unauthenticated, otherwise));
        }
    }

    private static RpcException Failure(CallFault fault)
    {
        var trailers = new Metadata();
        if (fault.RetryAfter is { } wait)
        {
            var details = new ErrorStatus { Code = (int)fault.Status, Message = fault.Detail };
            details.Details.Add(Any.Pack(new RPCRetryPolicy { RetryAfterSecs = (float)wait.TotalSeconds }));
            trailers.Add("grpc-status-details-bin", details.ToByteArray());
        }

        return new RpcException(new Status(fault.Status, fault.Detail), trailers);
    }
}
