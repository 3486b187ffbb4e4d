using System.Globalization;
using System.Net.Sockets;
using Quench.Interop.Linux;
using Microsoft.Win32.SafeHandles;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.Redis;

/// <summary>
/// A Redis server. Its writes are paused (CLIENT PAUSE … WRITE), and then what it has acknowledged is brought to its files: with an append-only file, what is still in its buffer; without
/// one, by a save. The pause is a lease of a second that is renewed while it is needed, so that it is over soon after we are gone.
/// </summary>
internal sealed class RedisWriter(WriterIdentity identity, ServerProcess server, ServerLogin login, WriterSearch search) : ApplicationWriter(identity, search.Clock)
{
    internal const string SourceName = "redis";

    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_renewal = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(2);

    private readonly Lock _gate = new(); // guards the three below
    private RedisClient? _client;
    private RedisClient? _leaseHolder; // a connection of its own: its words never mix with those of the calls
    private CancellationTokenSource? _leasing;

    private RedisSettings? _settings;
    private long _heldSince;
    private RedisInfo? _held;

    /// <inheritdoc/>
    protected override async ValueTask<WriterMetadata> AskAsync(CancellationToken cancellationToken)
    {
        RedisClient client = await ConnectedAsync(cancellationToken);
        RedisInfo info = await InfoAsync(client, cancellationToken);
        RedisSettings settings = _settings = await RedisSettings.ReadAsync(client, cancellationToken);
        return new WriterMetadata
        {
            Version = info.Version,
            Method = info.AppendsToFile
                ? "writes are paused (CLIENT PAUSE WRITE), and the append-only file is brought to disk; a restored copy reads it when it starts"
                : "writes are paused (CLIENT PAUSE WRITE) while the data is saved (BGSAVE); a restored copy reads that save when it starts",
            Components = [Data(settings)],
            CannotHold = WhyNot(settings, info),
        };
    }

    private static WriterComponent Data(RedisSettings settings) => new()
    {
        Name = "data",
        Caption = $"all databases of the server in {settings.Folder}",
        Files = [new ComponentFiles(settings.Folder, settings.SaveName, IsRecursive: false), new ComponentFiles(settings.AppendFolder)],
        Excluded = [new ComponentFiles(settings.Folder, "temp-*.rdb", IsRecursive: false), new ComponentFiles(settings.AppendFolder, "temp-*", IsRecursive: false)],
        RestoreNote = "The server must be stopped: it writes its data over the restored files when it ends.",
    };

    private string? WhyNot(RedisSettings settings, RedisInfo info)
    {
        if (info.IsLoading)
        {
            return "the server is still reading its data";
        }

        if (!info.AppendsToFile && !settings.IsSaved)
        {
            return "the server keeps its data in memory alone (appendonly no, save \"\"): there is nothing on the volume";
        }

        string[] folders = info.AppendsToFile ? [settings.Folder, settings.AppendFolder] : [settings.Folder];
        if (folders.FirstOrDefault(folder => !search.Holds(folder)) is { } elsewhere)
        {
            return $"{elsewhere} has the server's data and lies on a volume that is not taken: take that volume in the same set";
        }

        return info.IsReplica ? "the server is a replica: what its master sends is not paused; take the master" : null;
    }

    /// <summary>A server without an append-only file saves once before its writes are paused: to see how long it takes, and to know that it can.</summary>
    /// <inheritdoc/>
    protected override async ValueTask ApproachAsync(CancellationToken cancellationToken)
    {
        RedisClient client = await ConnectedAsync(cancellationToken);
        _settings ??= await RedisSettings.ReadAsync(client, cancellationToken);
        if (!(await InfoAsync(client, cancellationToken)).AppendsToFile)
        {
            RedisInfo saved = await SaveAsync(client, cancellationToken);
            if (saved.LastSaveSeconds + 1 > Operation!.HoldLimit.TotalSeconds)
            {
                throw new WriterException(
                    WriterError.NonRetryable,
                    string.Create(CultureInfo.InvariantCulture, $"a save takes {saved.LastSaveSeconds} s, longer than writes may be held: switch the append-only file on"));
            }
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        RedisClient client = await ConnectedAsync(cancellationToken);
        _heldSince = Clock.GetTimestamp();
        await BeginLeaseAsync(cancellationToken);
        RedisInfo info = await InfoAsync(client, cancellationToken);
        if (info.AppendsToFile)
        {
            info = await AppendedAsync(client, cancellationToken);
            SyncAppendOnlyFiles(_settings!);
        }
        else
        {
            info = await SaveAsync(client, cancellationToken);
        }

        _held = info;
    }

    /// <inheritdoc/>
    protected override async ValueTask<HoldAnswer> ReleaseAsync(CancellationToken cancellationToken)
    {
        RedisInfo now = await InfoAsync(await ConnectedAsync(cancellationToken), cancellationToken);
        return now.IsUnchangedSince(_held!) ? HoldAnswer.Held : HoldAnswer.Lost("the server was started anew, or data changed during the hold");
    }

    /// <inheritdoc/>
    protected override void LetGo()
    {
        lock (_gate)
        {
            _leasing?.Cancel();
            _leasing?.Dispose();
            _leasing = null;
            _leaseHolder?.DisposeWith("CLIENT", "UNPAUSE");
            _leaseHolder = null;
            _client?.Dispose();
            _client = null;
        }
    }

    /// <inheritdoc/>
    protected override string? WhyNotReplace(RestoreOperation operation) => server.WhyNotReplace(operation, "systemctl stop redis-server");

    /// <summary>Waits until the buffer of what was acknowledged is empty. The server puts a write off for two seconds at most, behind a sync that is slow.</summary>
    private async ValueTask<RedisInfo> AppendedAsync(RedisClient client, CancellationToken cancellationToken)
    {
        while (true)
        {
            RedisInfo info = await InfoAsync(client, cancellationToken);
            if (!info.IsAppendSound)
            {
                throw new WriterException(WriterError.Retryable, "the server can't write its append-only file");
            }

            if (info.IsAppended)
            {
                return info;
            }

            await Task.Delay(s_look, Clock, cancellationToken);
        }
    }

    /// <summary>With appendfsync everysec, or no, the end of the file is in the kernel's memory only.</summary>
    private static void SyncAppendOnlyFiles(RedisSettings settings)
    {
        foreach (string path in Directory.EnumerateFiles(settings.AppendFolder))
        {
            using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadOnly | OpenMode.NoFollow);
            NativeFile.Sync(file);
        }

        NativeFile.SyncDirectory(settings.AppendFolder);
    }

    /// <summary>Saves, and waits until it is there. A save that is under way holds too little, so another one follows it.</summary>
    private async ValueTask<RedisInfo> SaveAsync(RedisClient client, CancellationToken cancellationToken)
    {
        while ((await InfoAsync(client, cancellationToken)).IsSaving)
        {
            await Task.Delay(s_look, Clock, cancellationToken);
        }

        await client.AskAsync(cancellationToken, "BGSAVE");
        RedisInfo info;
        while ((info = await InfoAsync(client, cancellationToken)).IsSaving)
        {
            await Task.Delay(s_look, Clock, cancellationToken);
        }

        return info.IsLastSaveSound ? info : throw new WriterException(WriterError.Retryable, "the server could not save its data: its log says why");
    }

    private async ValueTask BeginLeaseAsync(CancellationToken cancellationToken)
    {
        RedisClient holder = await OpenAsync(cancellationToken);
        CancellationTokenSource end = new();
        lock (_gate)
        {
            _leaseHolder = holder;
            _leasing = end;
        }

        CancellationToken ended = end.Token;
        await PauseAsync(holder, cancellationToken);
        _ = RenewAsync(holder, ended);
    }

    private async Task RenewAsync(RedisClient holder, CancellationToken ended)
    {
        try
        {
            while (true)
            {
                await Task.Delay(s_renewal, Clock, ended);
                await PauseAsync(holder, ended);
            }
        }
        catch (Exception failure) when (failure is OperationCanceledException or IOException or SocketException or ObjectDisposedException or ServerRefusalException)
        {
            // Let go of, or the server is gone. If the lease ran out too early, the count of changes tells at the thaw.
        }
    }

    /// <summary>Pauses writes for a lease from now; never longer than the hold may last. A pause that is there is prolonged.</summary>
    private async ValueTask PauseAsync(RedisClient holder, CancellationToken cancellationToken)
    {
        TimeSpan left = Operation!.HoldLimit - Clock.GetElapsedTime(_heldSince);
        TimeSpan lease = left < s_lease ? left : s_lease;
        if (lease > TimeSpan.Zero)
        {
            await holder.AskAsync(cancellationToken, "CLIENT", "PAUSE", ((long)Math.Ceiling(lease.TotalMilliseconds)).ToString(CultureInfo.InvariantCulture), "WRITE");
        }
    }

    private async ValueTask<RedisClient> ConnectedAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_client is { } open)
            {
                return open;
            }
        }

        RedisClient client = await OpenAsync(cancellationToken);
        lock (_gate)
        {
            _client = client;
        }

        return client;
    }

    private async ValueTask<RedisClient> OpenAsync(CancellationToken cancellationToken)
    {
        string? password = login.ReadPassword();
        RedisClient client = new(await login.ConnectAsync(cancellationToken));
        try
        {
            if (password is not null)
            {
                await client.AskAsync(cancellationToken, login.User is { } user ? ["AUTH", user, password] : ["AUTH", password]);
            }

            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static async ValueTask<RedisInfo> InfoAsync(RedisClient client, CancellationToken cancellationToken) =>
        new((await client.AskAsync(cancellationToken, "INFO"))[0] ?? "");
}
