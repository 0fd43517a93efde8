using System.Formats.Tar;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DeepRecall.Sandboxes.Tests.Docker;

/// <summary>A registry with one image of the engine in it (the OCI distribution specification's pull, as far as an engine asks for it).</summary>
internal sealed class RegistryEmulator : IAsyncDisposable
{
    private const string ManifestType = "application/vnd.docker.distribution.manifest.v2+json";
    private const string LayerType = "application/vnd.docker.image.rootfs.diff.tar.gzip";

    private readonly Dictionary<string, string> _blobs = new(StringComparer.Ordinal);
    private readonly string _directory = Directory.CreateTempSubdirectory("deeprecall-registry-").FullName;
    private readonly WebApplication _app;
    private byte[] _manifest = [];

    private RegistryEmulator()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        _app = builder.Build();
        _app.Urls.Add("http://127.0.0.1:0"); // of which the engine asks no certificate
        _app.MapGet("/v2/", () => Results.Json(new JsonObject()));
        _app.MapMethods("/v2/{owner}/{name}/manifests/{reference}", ["GET", "HEAD"], (HttpResponse response) =>
        {
            response.Headers["Docker-Content-Digest"] = Digest(SHA256.HashData(_manifest));
            return Results.Bytes(_manifest, ManifestType);
        });
        _app.MapGet("/v2/{owner}/{name}/blobs/{digest}", (string digest) =>
            _blobs.TryGetValue(digest, out var path) ? Results.File(path, "application/octet-stream") : Results.NotFound());
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Starts a registry that has a copy of an image.</summary>
    public static async Task<RegistryEmulator> StartAsync(string image)
    {
        var registry = new RegistryEmulator();
        await registry.LoadAsync(image);
        await registry._app.StartAsync(Token);
        return registry;
    }

    /// <summary>A name under which the engine finds the image here.</summary>
    public string NameOf(string tag) => $"{new Uri(_app.Urls.First()).Authority}/deeprecall-test/pulled:{tag}";

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private static string Digest(byte[] hash) => $"sha256:{Convert.ToHexStringLower(hash)}";

    private async Task LoadAsync(string original)
    {
        // Not by the client's library, whose stream of an image breaks off.
        using var engine = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = static async (_, token) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(new Uri(TestEngine.Docker).LocalPath), token);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        await using (var saved = await engine.GetStreamAsync(new Uri($"http://engine/images/{original}/get"), Token))
        {
            await TarFile.ExtractToDirectoryAsync(saved, _directory, overwriteFiles: true, Token);
        }

        var content = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(_directory, "manifest.json"), Token))![0]!;
        var config = content["Config"]!.GetValue<string>();
        var layers = new JsonArray();
        foreach (var layer in content["Layers"]!.AsArray())
        {
            layers.Add(await AddAsync(layer!.GetValue<string>(), LayerType));
        }

        // A layer that the engine cannot have yet, or it would have nothing to fetch.
        var added = await AddAsync(await WriteLayerAsync(), LayerType);
        layers.Add(added);
        var image = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(_directory, config), Token))!;
        image["rootfs"]!["diff_ids"]!.AsArray().Add(added["digest"]!.GetValue<string>());
        image.AsObject().Remove("history");
        await File.WriteAllTextAsync(Path.Combine(_directory, config), image.ToJsonString(), Token);
        _manifest = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = ManifestType,
            ["config"] = await AddAsync(config, "application/vnd.docker.container.image.v1+json"),
            ["layers"] = layers,
        }.ToJsonString());
    }

    private async Task<string> WriteLayerAsync()
    {
        const string Name = "added.tar";
        await using var writer = new TarWriter(File.Create(Path.Combine(_directory, Name)));
        await writer.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, "added") { DataStream = new MemoryStream(RandomNumberGenerator.GetBytes(3_000_000)) }, Token);
        return Name;
    }

    private async Task<JsonNode> AddAsync(string name, string mediaType)
    {
        var path = Path.Combine(_directory, name);
        await using var file = File.OpenRead(path);
        var digest = Digest(await SHA256.HashDataAsync(file, Token));
        _blobs[digest] = path;
        return new JsonObject { ["mediaType"] = mediaType, ["size"] = file.Length, ["digest"] = digest };
    }
}
