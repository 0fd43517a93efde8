using DeepRecall.Backends;
using DeepRecall.Hosting;
using DeepRecall.Sandboxing;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace DeepRecall.Configuration;

/// <summary>Says what is wrong with a registration's options, each with its path: all of the limits, and the entries that are used.</summary>
internal sealed class DeepRecallServiceOptionsValidator(DeepRecallRegistry registry, IServiceProvider services) : IValidateOptions<DeepRecallServiceOptions>
{
    public ValidateOptionsResult Validate(string? name, DeepRecallServiceOptions options)
    {
        if (!registry.TryGet(name, out var instance))
        {
            return ValidateOptionsResult.Skip;
        }

        List<string> problems = [];
        CheckLimits(options, instance, problems);
        CheckBackends(options, instance, problems);
        CheckEnvironments(options, instance, problems);
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private static void CheckLimits(DeepRecallServiceOptions options, DeepRecallInstance instance, List<string> problems)
    {
        // The sub-clients of OtherBackends are only made when they are used; their names are enough here.
        var whole = options.Clone();
        foreach (var other in options.OtherBackends.Distinct(StringComparer.OrdinalIgnoreCase))
        {
            whole.SubClients.Add(new SubClient(other, UnusedChatClient.Instance));
        }

        problems.AddRange(whole.Validate().Select(problem => $"{instance.Path}:{problem}"));
    }

    private void CheckBackends(DeepRecallServiceOptions options, DeepRecallInstance instance, List<string> problems)
    {
        var root = options.RootBackend;
        if (root is null && !registry.HasApplicationClient())
        {
            problems.Add(options.Backends.Count == 0
                ? $"{instance.Path}:Backend is not set, and no IChatClient is registered; set it to one of {string.Join(", ", BackendNames.All)}, or to an entry of {instance.Path}:Backends."
                : $"{instance.Path}:Backend is not set; it must be one of {string.Join(", ", options.Backends.Keys)}.");
        }

        CheckUse(root, nameof(options.Backend), options.Model?.Pricing is not null);
        for (var index = 0; index < options.OtherBackends.Count; index++)
        {
            CheckUse(options.OtherBackends[index], $"{nameof(options.OtherBackends)}:{index}", isPriced: false);
        }

        foreach (var (key, entry) in options.Backends)
        {
            var provider = entry.Provider ?? key;
            if (!BackendNames.All.Contains(provider, StringComparer.Ordinal))
            {
                problems.Add($"{instance.Path}:Backends:{key}:Provider is {WrongProvider(key, entry.Provider, "provider", BackendNames.All)}");
            }
        }

        void CheckUse(string? used, string option, bool isPriced)
        {
            if (used is null)
            {
                return;
            }

            var isEntry = options.Backends.TryGetValue(used, out var entry);
            if (!isEntry && !BackendNames.All.Contains(used, StringComparer.Ordinal))
            {
                if (!IsRegistered<IChatClient>(instance, used))
                {
                    problems.Add($"{instance.Path}:{option} is '{used}', which is no entry of {instance.Path}:Backends and no key of a registered IChatClient; {OneOf(used, [.. options.Backends.Keys, .. BackendNames.All])}");
                }

                return;
            }

            // An application that registers a client under the key has its own way.
            if (services.GetKeyedService<IChatClient>(instance.KeyOf(used)) is not (null or BackendClient))
            {
                return;
            }

            if ((entry?.Provider ?? used) is { } provider && BackendNames.All.Contains(provider, StringComparer.Ordinal))
            {
                CheckEntry(instance, used, entry ?? new BackendOptions { Provider = used }, problems);
                if (options.MaxCostUsd is not null && !isPriced && entry?.Pricing is null)
                {
                    problems.Add($"{instance.Path}:{nameof(options.MaxCostUsd)} is {options.MaxCostUsd}, and {instance.Path}:Backends:{used}:Pricing is not set; a cost limit needs the price of every model.");
                }
            }
        }
    }

    private static void CheckEntry(DeepRecallInstance instance, string key, BackendOptions entry, List<string> problems)
    {
        var named = entry.Clone();
        named.Name = key;
        try
        {
            BackendSettings.Resolve(named, System.Environment.GetEnvironmentVariable);
        }
        catch (ArgumentException error)
        {
            problems.Add(WithPath(error, $"The backend '{key}': {nameof(BackendOptions)}.", $"{instance.Path}:Backends:{key}"));
        }
    }

    private void CheckEnvironments(DeepRecallServiceOptions options, DeepRecallInstance instance, List<string> problems)
    {
        foreach (var (key, entry) in options.Environments)
        {
            var provider = SectionBinder.ProviderOf(key, entry);
            if (!EnvironmentNames.All.Contains(provider, StringComparer.Ordinal))
            {
                problems.Add($"{instance.Path}:Environments:{key}:Provider is {WrongProvider(key, entry.Provider, "environment", EnvironmentNames.All)}");
            }

            problems.AddRange(entry.Pool.Problems().Select(problem => $"{instance.Path}:Environments:{key}:Pool:{problem.Option} is {problem.Value}; it must be {problem.Allowed}."));
        }

        if (options.Sandbox is not null)
        {
            return;
        }

        if (string.IsNullOrWhiteSpace(options.Environment))
        {
            problems.Add($"{instance.Path}:{nameof(options.Environment)} is blank; it must be one of {string.Join(", ", EnvironmentNames.All)}, or an entry of {instance.Path}:Environments.");
            return;
        }

        if (options.Environments.TryGetValue(options.Environment, out var used) || EnvironmentNames.All.Contains(options.Environment, StringComparer.Ordinal))
        {
            if (services.GetKeyedService<ISandbox>(instance.KeyOf(options.Environment)) is null or EnvironmentSandbox)
            {
                CheckEnvironment(instance, options.Environment, used ?? new EnvironmentOptions(), problems);
            }
        }
        else if (!IsRegistered<ISandbox>(instance, options.Environment))
        {
            problems.Add($"{instance.Path}:{nameof(options.Environment)} is '{options.Environment}', which is no entry of {instance.Path}:Environments and no key of a registered ISandbox; {OneOf(options.Environment, [.. options.Environments.Keys, .. EnvironmentNames.All])}");
        }
    }

    private void CheckEnvironment(DeepRecallInstance instance, string key, EnvironmentOptions entry, List<string> problems)
    {
        var provider = SectionBinder.ProviderOf(key, entry);
        if (!EnvironmentNames.All.Contains(provider, StringComparer.Ordinal))
        {
            return; // told already
        }

        try
        {
            // Making one reaches nothing; it checks its options.
            _ = EnvironmentSandbox.Create(key, entry, services);
        }
        catch (ArgumentException error)
        {
            var type = provider switch
            {
                EnvironmentNames.Local => nameof(Sandboxes.Local.LocalSandboxOptions),
                EnvironmentNames.Docker => nameof(Sandboxes.Docker.DockerSandboxOptions),
                EnvironmentNames.Modal => nameof(Sandboxes.Modal.ModalSandboxOptions),
                EnvironmentNames.E2B => nameof(Sandboxes.E2B.E2BSandboxOptions),
                EnvironmentNames.Daytona => nameof(Sandboxes.Daytona.DaytonaSandboxOptions),
                _ => nameof(Sandboxes.Prime.PrimeSandboxOptions),
            };
            problems.Add(WithPath(error, $"{type}.", $"{instance.Path}:Environments:{key}"));
        }
    }

    private bool IsRegistered<T>(DeepRecallInstance instance, string key) =>
        services.GetService<IServiceProviderIsKeyedService>() is { } keys
        && (keys.IsKeyedService(typeof(T), instance.KeyOf(key)) || keys.IsKeyedService(typeof(T), key));

    // "type.Option is ..." becomes "path:Option is ...".
    private static string WithPath(ArgumentException error, string prefix, string path)
    {
        var message = error.ParamName is { } parameter ? error.Message.Replace($" (Parameter '{parameter}')", string.Empty, StringComparison.Ordinal) : error.Message;
        return message.Contains(prefix, StringComparison.Ordinal) ? message.Replace(prefix, path + ":", StringComparison.Ordinal) : $"{path}:{message}";
    }

    // A key is a name of the application's own, of which nothing is guessed.
    private static string WrongProvider(string key, string? given, string kind, IReadOnlyList<string> known) =>
        given is null ? $"not set, and the key '{key}' is no {kind}; it must be one of {string.Join(", ", known)}." : $"'{given}'; {OneOf(given, known)}";

    private static string OneOf(string name, IReadOnlyList<string> known) =>
        NearestName.Find(name, known) is { } nearest ? $"did you mean {nearest}?" : $"it must be one of {string.Join(", ", known)}.";

    /// <summary>Stands for a client of which only the name is looked at.</summary>
    private sealed class UnusedChatClient : IChatClient
    {
        public static UnusedChatClient Instance { get; } = new();

        public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            throw new InvalidOperationException("It is never asked.");

        public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
            throw new InvalidOperationException("It is never asked.");

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }
    }
}
