namespace Quench.Snapshots.Coordination.Writers.Redis;

/// <summary>Where a server keeps its data.</summary>
/// <param name="Folder">Its working folder.</param>
/// <param name="SaveName">The save's file in it.</param>
/// <param name="AppendFolder">The folder of the append-only files; the working folder itself before version 7.</param>
/// <param name="IsSaved">It saves by itself from time to time.</param>
internal sealed record RedisSettings(string Folder, string SaveName, string AppendFolder, bool IsSaved)
{
    internal static async ValueTask<RedisSettings> ReadAsync(RedisClient client, CancellationToken cancellationToken)
    {
        string folder = await ReadAsync(client, "dir", cancellationToken);
        return new RedisSettings(
            folder,
            await ReadAsync(client, "dbfilename", cancellationToken),
            Path.Combine(folder, await ReadAsync(client, "appenddirname", cancellationToken)),
            (await ReadAsync(client, "save", cancellationToken)).Length > 0);
    }

    private static async ValueTask<string> ReadAsync(RedisClient client, string name, CancellationToken cancellationToken) =>
        await client.AskAsync(cancellationToken, "CONFIG", "GET", name) is [_, { } value] ? value : "";
}
