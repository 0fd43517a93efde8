using DeepRecall.Sandboxes.Modal.Wire;
using Grpc.Core;

namespace DeepRecall.Testing.Emulators.Modal;

/// <summary>The control API, both generations of it.</summary>
internal sealed class ModalControl(ModalState state) : ModalClient.ModalClientBase
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(55);

    public override Task<AuthTokenGetResponse> AuthTokenGet(AuthTokenGetRequest request, ServerCallContext context) =>
        Task.FromResult(new AuthTokenGetResponse { Token = state.IssueToken(state.Emulator.Faults.TokenLifetime) });

    public override Task<AppGetOrCreateResponse> AppGetOrCreate(AppGetOrCreateRequest request, ServerCallContext context) =>
        Task.FromResult(new AppGetOrCreateResponse { AppId = $"ap-{request.AppName}" });

    public override Task<EnvironmentGetOrCreateResponse> EnvironmentGetOrCreate(EnvironmentGetOrCreateRequest request, ServerCallContext context) =>
        Task.FromResult(new EnvironmentGetOrCreateResponse { EnvironmentId = "en-1", Metadata = new EnvironmentMetadata { Name = "main", Settings = new EnvironmentSettings { ImageBuilderVersion = "2025.06" } } });

    public override Task<ImageGetOrCreateResponse> ImageGetOrCreate(ImageGetOrCreateRequest request, ServerCallContext context)
    {
        var id = state.AddImage(string.Join('\n', request.Image.DockerfileCommands));
        return Task.FromResult(new ImageGetOrCreateResponse { ImageId = id, Result = state.Emulator.Faults.BuildsImages ? null : state.BuildImage(id) });
    }

    public override async Task ImageJoinStreaming(ImageJoinStreamingRequest request, IServerStreamWriter<ImageJoinStreamingResponse> responseStream, ServerCallContext context)
    {
        // The first stream ends, as one does after its time, with the build not at its end.
        if (request.LastEntryId.Length == 0)
        {
            await responseStream.WriteAsync(new ImageJoinStreamingResponse { EntryId = "1" });
            return;
        }

        await responseStream.WriteAsync(new ImageJoinStreamingResponse { EntryId = "2", Result = state.BuildImage(request.ImageId), Eof = true });
    }

    public override Task<SecretGetOrCreateResponse> SecretGetOrCreate(SecretGetOrCreateRequest request, ServerCallContext context) =>
        Task.FromResult(new SecretGetOrCreateResponse { SecretId = state.AddSecret(request.EnvDict) });

    public override Task<SandboxCreateResponse> SandboxCreate(SandboxCreateRequest request, ServerCallContext context)
    {
        var machine = Create(context, $"sb-{Guid.NewGuid():N}"[..25], request.AppId, request.Definition, request.Tags, []);
        return Task.FromResult(new SandboxCreateResponse { SandboxId = machine.Id });
    }

    public override Task<SandboxCreateV2Response> SandboxCreateV2(SandboxCreateV2Request request, ServerCallContext context)
    {
        var sources = request.EphemeralSecrets is { } older ? request.SecretSources.Append(new SecretSource { Env = older }) : request.SecretSources;
        var machine = Create(context, $"sb-{Guid.NewGuid():N}"[..29], request.AppId, request.Definition, request.Tags, sources);
        return Task.FromResult(new SandboxCreateV2Response { SandboxId = machine.Id, TaskId = machine.TaskId, CommandRouterAccess = Access() });
    }

    public override Task<SandboxGetTaskIdResponse> SandboxGetTaskId(SandboxGetTaskIdRequest request, ServerCallContext context) =>
        Task.FromResult(new SandboxGetTaskIdResponse { TaskId = state.Find(request.SandboxId).TaskId });

    public override Task<SandboxGetTaskIdResponse> SandboxGetTaskIdV2(SandboxGetTaskIdRequest request, ServerCallContext context) => SandboxGetTaskId(request, context);

    public override Task<TaskGetCommandRouterAccessResponse> TaskGetCommandRouterAccess(TaskGetCommandRouterAccessRequest request, ServerCallContext context)
    {
        state.FindTask(request.TaskId);
        var access = Access();
        return Task.FromResult(new TaskGetCommandRouterAccessResponse { Jwt = access.Jwt, Url = access.Url });
    }

    public override Task<SandboxGetCommandRouterAccessResponse> SandboxGetCommandRouterAccess(SandboxGetCommandRouterAccessRequest request, ServerCallContext context)
    {
        var machine = request.TargetCase == SandboxGetCommandRouterAccessRequest.TargetOneofCase.TaskId ? state.FindTask(request.TaskId) : state.Find(request.SandboxId);
        if (machine.Ended.IsCompleted)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, "the sandbox has ended"));
        }

        var access = Access();
        return Task.FromResult(new SandboxGetCommandRouterAccessResponse { Jwt = access.Jwt, Url = access.Url });
    }

    public override Task<SandboxTerminateResponse> SandboxTerminate(SandboxTerminateRequest request, ServerCallContext context)
    {
        var machine = state.Find(request.SandboxId);
        var earlier = machine.Ended.IsCompletedSuccessfully ? machine.Ended.Result : null;
        machine.End(GenericResult.Types.GenericStatus.Terminated);
        return Task.FromResult(new SandboxTerminateResponse { ExistingResult = earlier });
    }

    public override Task<SandboxTerminateResponse> SandboxTerminateV2(SandboxTerminateRequest request, ServerCallContext context) => SandboxTerminate(request, context);

    public override async Task<SandboxWaitResponse> SandboxWait(SandboxWaitRequest request, ServerCallContext context)
    {
        var ended = state.Find(request.SandboxId).Ended;
        var wait = TimeSpan.FromSeconds(request.Timeout);
        await Task.WhenAny(ended, Task.Delay(wait < LongestWait ? wait : LongestWait, context.CancellationToken));
        return new SandboxWaitResponse { Result = ended.IsCompletedSuccessfully ? await ended : null };
    }

    public override Task<SandboxWaitResponse> SandboxWaitV2(SandboxWaitRequest request, ServerCallContext context) => SandboxWait(request, context);

    public override Task<SandboxListResponse> SandboxList(SandboxListRequest request, ServerCallContext context)
    {
        const int PageSize = 2;
        var faults = state.Emulator.Faults;
        var answer = new SandboxListResponse();
        answer.Sandboxes.Add(state.Machines.Values
            .Where(machine => request.IncludeFinished || !machine.Ended.IsCompleted)
            .Where(machine => faults.IgnoresFilters || request.AppId.Length == 0 || machine.AppId == request.AppId)
            .Where(machine => faults.RepeatsPages || request.BeforeTimestamp == 0 || machine.CreatedAt < request.BeforeTimestamp)
            .Where(machine => faults.IgnoresFilters || request.Tags.All(tag => machine.Definition.Tags.TryGetValue(tag.TagName, out var value) && value == tag.TagValue))
            .OrderByDescending(machine => machine.CreatedAt)
            .Take(PageSize)
            .Select(machine => new SandboxInfo
            {
                Id = machine.Id,
                AppId = machine.AppId,
                CreatedAt = machine.CreatedAt,
                Tags = { machine.Definition.Tags.Select(tag => new SandboxTag { TagName = tag.Key, TagValue = tag.Value }) },
            }));
        return Task.FromResult(answer);
    }

    public override Task<SandboxListResponse> SandboxListV2(SandboxListRequest request, ServerCallContext context) => SandboxList(request, context);

    private ModalMachine Create(ServerCallContext context, string id, string appId, Sandboxes.Modal.Wire.Sandbox definition, IEnumerable<SandboxTag> tags, IEnumerable<SecretSource> sources) => state.Create(
        context.RequestHeaders.GetValue("x-idempotency-key") ?? Guid.NewGuid().ToString(),
        id,
        appId,
        new SandboxDefinition(definition, tags.ToDictionary(tag => tag.TagName, tag => tag.TagValue), state.VariablesOf(definition.SecretIds, sources)));

    // The scheme is TLS's also where the emulator speaks without it: clients of a control API on loopback know.
    private CommandRouterAccess Access() =>
        new() { Jwt = state.IssueToken(state.Emulator.Faults.RouterTokenLifetime), Url = state.Emulator.Faults.SandboxAddress ?? state.Emulator.Url.Replace("http://", "https://", StringComparison.Ordinal) };
}
