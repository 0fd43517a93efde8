using System.Formats.Tar;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using DeepRecall.Sandboxing;
using Docker.DotNet;
using Docker.DotNet.Models;

namespace DeepRecall.Sandboxes.Docker;

/// <summary>The Engine API (docs.docker.com/reference/api/engine), as far as the sandbox needs it; every failure is a <see cref="SandboxException"/>.</summary>
internal sealed class DockerEngine
{
    private const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly DockerClient _client;
    private readonly string _endpoint;

    private DockerEngine(DockerClient client)
    {
        _client = client;
        _endpoint = client.Options.Endpoint.OriginalString;
    }

    /// <summary>Whether the engine may see the files of this machine under the same names.</summary>
    public bool IsLocal => OperatingSystem.IsLinux() && _client.Options.Endpoint.Scheme == "unix";

    /// <summary>Gets an engine ready to be asked; it is not asked anything yet.</summary>
    /// <exception cref="SandboxException">No endpoint is given, and none can be found.</exception>
    public static DockerEngine At(string? endpoint)
    {
        try
        {
            // No version is asked for, so each engine answers with its own.
            var builder = new DockerClientBuilder().WithTimeout(Timeout.InfiniteTimeSpan);
            return new DockerEngine((endpoint is null ? builder : builder.WithEndpoint(new Uri(endpoint))).Build());
        }
        catch (Exception error) when (error is DockerConfigurationException or NotSupportedException or UriFormatException or InvalidOperationException)
        {
            throw new SandboxException($"No Docker engine was found: {error.Message} Set {nameof(DockerSandboxOptions)}.{nameof(DockerSandboxOptions.Endpoint)} or DOCKER_HOST.", error);
        }
    }

    public Task<string> VersionAsync(CancellationToken cancellationToken) => AskAsync(
        "tell its version",
        async () => (await _client.System.GetVersionAsync(cancellationToken).ConfigureAwait(false)).Version);

    public Task<bool> HasImageAsync(string image, CancellationToken cancellationToken) => AskAsync("look for the image", async () =>
    {
        try
        {
            await _client.Images.InspectImageAsync(image, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (DockerImageNotFoundException)
        {
            return false;
        }
    });

    /// <summary>Has the engine fetch an image from its registry.</summary>
    public Task PullAsync(string image, IProgress<DockerPullProgress> progress, CancellationToken cancellationToken)
    {
        // An image without a tag would be all of them.
        var named = image.Contains('@', StringComparison.Ordinal) || image.LastIndexOf(':') > image.LastIndexOf('/');
        var parameters = new ImagesCreateParameters { FromImage = image, Tag = named ? null : "latest" };
        var messages = new PullMessages(image, progress);
        return AskAsync($"pull the image '{image}'", async () =>
        {
            await _client.Images.CreateImageAsync(parameters, null, messages, cancellationToken).ConfigureAwait(false);
            return messages.Failure is null ? true : throw new DockerApiException(HttpStatusCode.OK, messages.Failure);
        });
    }

    /// <summary>Makes a container.</summary>
    /// <exception cref="DockerImageNotFoundException">The engine does not have the image.</exception>
    public Task<string> CreateAsync(CreateContainerParameters parameters, CancellationToken cancellationToken) => AskAsync(
        "create a container",
        async () => (await _client.Containers.CreateContainerAsync(parameters, cancellationToken).ConfigureAwait(false)).ID);

    public Task<AttachedStream> AttachAsync(string id, CancellationToken cancellationToken) => AskAsync("attach to a container", async () =>
    {
        var parameters = new ContainerAttachParameters { Stream = true, Stdin = true, Stdout = true, Stderr = true };
        return new AttachedStream(await _client.Containers.AttachContainerAsync(id, parameters, cancellationToken).ConfigureAwait(false));
    });

    public Task StartAsync(string id, CancellationToken cancellationToken) => AskAsync(
        "start a container",
        () => _client.Containers.StartContainerAsync(id, null, cancellationToken));

    /// <summary>Waits until a container has ended.</summary>
    /// <returns>How, and whether its memory had run out.</returns>
    public Task<(long ExitCode, bool OutOfMemory)> WaitAsync(string id, CancellationToken cancellationToken) => AskAsync("wait for a container", async () =>
    {
        var ended = await _client.Containers.WaitContainerAsync(id, cancellationToken).ConfigureAwait(false);
        try
        {
            var container = await _client.Containers.InspectContainerAsync(id, cancellationToken).ConfigureAwait(false);
            return (ended.StatusCode, container.State?.OOMKilled ?? false);
        }
        catch (DockerContainerNotFoundException)
        {
            return (ended.StatusCode, false); // removed meanwhile
        }
    });

    /// <summary>Sends a container a signal; one that has ended is no error.</summary>
    public Task SignalAsync(string id, string signal, CancellationToken cancellationToken) => AskAsync("signal a container", async () =>
    {
        try
        {
            await _client.Containers.KillContainerAsync(id, new ContainerKillParameters { Signal = signal }, cancellationToken).ConfigureAwait(false);
        }
        catch (DockerApiException error) when (error.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
        }

        return true;
    });

    /// <summary>Ends and removes a container with its volume; one that is gone is no error.</summary>
    public Task RemoveAsync(string id, CancellationToken cancellationToken) => AskAsync("remove a container", async () =>
    {
        try
        {
            await _client.Containers.RemoveContainerAsync(id, new ContainerRemoveParameters { Force = true, RemoveVolumes = true }, cancellationToken).ConfigureAwait(false);
        }
        catch (DockerApiException error) when (error.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Conflict)
        {
            // It is gone, or somebody else is removing it.
        }

        return true;
    });

    /// <summary>The containers that sandboxes made, of this host and of all others: their ids, their hosts, and whether they have ended.</summary>
    public Task<IReadOnlyList<(string Id, string Host, bool Ended)>> ListAsync(CancellationToken cancellationToken) => AskAsync("list containers", async () =>
    {
        var parameters = new ContainersListParameters
        {
            All = true,
            Filters = new Dictionary<string, IDictionary<string, bool>>(StringComparer.Ordinal)
            {
                ["label"] = new Dictionary<string, bool>(StringComparer.Ordinal) { [DockerContainer.HostLabel] = true },
            },
        };
        var containers = await _client.Containers.ListContainersAsync(parameters, cancellationToken).ConfigureAwait(false);
        return (IReadOnlyList<(string, string, bool)>)[.. containers.Select(container =>
            (container.ID, container.Labels[DockerContainer.HostLabel], container.State is "exited" or "dead"))];
    });

    /// <summary>Sends a file, as an archive with it alone, into a directory of a container.</summary>
    public Task PutFileAsync(string id, string directory, string name, FileStream content, CancellationToken cancellationToken) => AskAsync("take a file", async () =>
    {
        var pipe = new Pipe();
        var archive = Task.Run(
            async () =>
            {
                Exception? failure = null;
                try
                {
                    var writer = new TarWriter(pipe.Writer.AsStream(leaveOpen: true), TarEntryFormat.Pax);
                    await using (writer.ConfigureAwait(false))
                    {
                        await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = content, Mode = Readable }, cancellationToken).ConfigureAwait(false);
                    }
                }
                catch (Exception error)
                {
                    failure = error;
                }

                await pipe.Writer.CompleteAsync(failure).ConfigureAwait(false);
            },
            CancellationToken.None);
        try
        {
            await _client.Containers.ExtractArchiveToContainerAsync(id, new CopyToContainerParameters { Path = directory }, pipe.Reader.AsStream(), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await pipe.Reader.CompleteAsync().ConfigureAwait(false);
            await archive.ConfigureAwait(false);
        }

        return true;
    });

    private async Task<T> AskAsync<T>(string what, Func<Task<T>> ask)
    {
        try
        {
            return await ask().ConfigureAwait(false);
        }
        catch (DockerImageNotFoundException)
        {
            throw;
        }
        catch (DockerApiException error)
        {
            throw new SandboxException($"The Docker engine at {_endpoint} could not {what}: {MessageOf(error)}", error);
        }
        catch (Exception error) when (error is HttpRequestException or SocketException or IOException or TimeoutException or AggregateException)
        {
            throw new SandboxException(
                $"The Docker engine at {_endpoint} could not {what}, because it cannot be reached: {(error.InnerException ?? error).Message} "
                + $"Is it running, and may this user reach it? {nameof(DockerSandboxOptions)}.{nameof(DockerSandboxOptions.Endpoint)} or DOCKER_HOST names another.",
                error);
        }
    }

    private static string MessageOf(DockerApiException error)
    {
        try
        {
            using var body = JsonDocument.Parse(error.ResponseBody ?? string.Empty);
            return body.RootElement.GetProperty("message").GetString()!;
        }
        catch (Exception unusual) when (unusual is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return string.IsNullOrWhiteSpace(error.ResponseBody) ? $"status {(int)error.StatusCode}" : error.ResponseBody.Trim();
        }
    }

    /// <summary>The engine tells a pull's end, good or bad, in the messages of its progress.</summary>
    private sealed class PullMessages(string image, IProgress<DockerPullProgress> progress) : IProgress<JSONMessage>
    {
        public string? Failure { get; private set; }

        public void Report(JSONMessage value)
        {
            if (value.Error is { } error)
            {
                Failure = error.Message;
            }
            else if (value.Status is { } status)
            {
                progress.Report(new DockerPullProgress(image, value.ID, status, value.Progress?.Current, value.Progress?.Total));
            }
        }
    }
}
