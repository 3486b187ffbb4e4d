using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.SystemTests.Harness;
using Quench.SystemTests.PowerCut;
using Quench.Vault;
using Quench.Vault.Stores;

namespace Quench.SystemTests.Kills;

/// <summary>
/// Two vaults and a disk image to back up. The vaults are made here, with a password that costs nothing to check, so that the real command line spends its
/// time on what is to be killed. Each content of the disk has a tag of its own, which its points carry.
/// </summary>
internal sealed partial class KillLab : IDisposable
{
    private const string Password = "a password for tests";
    private const int ChunkSize = 16 * 1024;
    private const int Chunks = 16;

    private static readonly KdfCost s_cheap = new(64, 1, 1);
    private static readonly byte[] s_password = Bytes(Password);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly TempFolder _folder = new("kills");
    private readonly Random _random;
    private readonly byte[] _disk = new byte[Chunks * ChunkSize];
    private readonly Dictionary<string, byte[]> _contents = new(StringComparer.Ordinal); // by tag
    private readonly HashSet<(string Vault, string Tag)> _promised = [];

    private string _password = Password; // opens the first vault
    private byte[] _code = []; // opens it too, whatever becomes of passwords, and costs nothing to check

    private KillLab(Random random) => _random = random;

    internal string this[string path] => _folder[path];

    internal string MainVault => _folder["main"];

    internal string SecondVault => _folder["second"];

    /// <summary>The tag of the disk's present content.</summary>
    internal string Tag { get; private set; } = "t0";

    internal static async Task<KillLab> CreateAsync(Random random)
    {
        KillLab lab = new(random);
        foreach (string vault in (string[])[lab.MainVault, lab.SecondVault])
        {
            CreatedVault made = await BackupVault.CreateAsync(
                new LocalDirectory(vault), new VaultSettings { ChunkSize = ChunkSize, Kdf = s_cheap }, s_password, TimeProvider.System, s_cheap, CancellationToken.None);
            await made.Vault.DisposeAsync();
            using SecretBytes code = made.RecoveryCode;
            lab._code = vault == lab.MainVault ? code.Span.ToArray() : lab._code;
        }

        return lab;
    }

    /// <inheritdoc/>
    public void Dispose() => _folder.Dispose();

    /// <summary>Changes a part of the disk.</summary>
    /// <returns>The image's path.</returns>
    internal string ChangeDisk()
    {
        for (int change = 0; change < 6; change++)
        {
            _random.NextBytes(_disk.AsSpan(_random.Next(Chunks) * ChunkSize, ChunkSize));
        }

        Tag = "t" + (_contents.Count + 1).ToString(CultureInfo.InvariantCulture);
        _contents.Add(Tag, [.. _disk]);
        File.WriteAllBytes(_folder["disk.img"], _disk);
        return _folder["disk.img"];
    }

    /// <summary>Backs the disk up with a change, in this process: quickly.</summary>
    internal async Task BackUpAsync()
    {
        ChangeDisk();
        await using BackupVault vault = await OpenAsync(MainVault);
        await VaultWork.BackUpAsync(vault, _disk, TimeProvider.System.GetUtcNow(), Tag);
        _promised.Add((MainVault, Tag));
    }

    /// <summary>Backs the disk up with a change, and forgets all points but the last two: something for a collector.</summary>
    internal async Task BackUpAndForgetAsync()
    {
        await BackUpAsync();
        await using BackupVault vault = await OpenAsync(MainVault);
        string[] older = [.. (await vault.ListPointsAsync(CancellationToken.None)).SkipLast(2).Select(point => point.Id.ToString("N"))];
        if (older.Length > 0)
        {
            DropPromises(TagsBefore(2));
            ForgetPlan plan = await vault.PlanForgetAsync(new ForgetRequest { Points = older }, CancellationToken.None);
            await vault.ForgetAsync(plan, Enum.GetValues<ForgetConcernKind>(), "a test", CancellationToken.None);
        }
    }

    /// <summary>The tags of all contents but the last ones.</summary>
    internal IEnumerable<string> TagsBefore(int last) => Enumerable.Range(1, Math.Max(0, _contents.Count - last)).Select(number => "t" + number.ToString(CultureInfo.InvariantCulture));

    /// <summary>Runs a scenario's command to its end; it must succeed.</summary>
    /// <returns>How long it took.</returns>
    internal Task<TimeSpan> RunAsync(KillScenario scenario)
    {
        string[] command = [.. scenario.Command(this)];
        DropPromises(scenario.MayTake(this));
        return RunAsync(command);
    }

    /// <summary>Runs a command under a program that runs programs.</summary>
    internal async Task<ProcessResult> TryUnderAsync(string program, IEnumerable<string> options, IEnumerable<string> command)
    {
        ProcessStartInfo inner = StartInfo(command);
        ProcessStartInfo start = new(program, [.. options, inner.FileName, .. inner.ArgumentList]);
        foreach ((string name, string? value) in inner.Environment)
        {
            start.Environment[name] = value;
        }

        using ProcessRun run = ProcessRun.Start(start);
        ProcessResult result = await run.EndAsync(s_limit);
        await NoteAsync(result.Output);
        return result;
    }

    /// <summary>Runs a command to its end; it must succeed.</summary>
    /// <returns>How long it took.</returns>
    internal async Task<TimeSpan> RunAsync(IEnumerable<string> command)
    {
        long since = Stopwatch.GetTimestamp();
        using ProcessRun run = Start(command);
        ProcessResult result = await run.EndAsync(s_limit);
        TimeSpan taken = Stopwatch.GetElapsedTime(since);
        if (result.ExitCode != 0)
        {
            throw new InvalidOperationException(result.ToString());
        }

        await NoteAsync(result.Output);
        return taken;
    }

    /// <summary>Starts a command and kills it, and all that it has started, unless it ends before.</summary>
    /// <returns>Whether it was killed.</returns>
    internal async Task<bool> KillAsync(KillScenario scenario, TimeSpan moment)
    {
        string[] command = [.. scenario.Command(this)];
        DropPromises(scenario.MayTake(this));
        using ProcessRun run = Start(command);
        bool killed = await run.KillAfterAsync(moment, wholeTree: true);
        await NoteAsync(await run.Output);
        return killed;
    }

    /// <summary>Demands that both vaults are sound, that what was acknowledged is there, and that all that is there is right.</summary>
    internal async Task DemandAsync(string what)
    {
        await DemandKeysAsync(what);
        foreach (string path in ((string[])[MainVault, SecondVault, RottingVault]).Where(Directory.Exists))
        {
            await using BackupVault vault = await OpenAsync(path);
            if (path == RottingVault && _mayBeRotten)
            {
                await DemandRepairAsync(vault, what);
            }

            IReadOnlyList<RecoveryPoint> points = await vault.ListPointsAsync(CancellationToken.None);
            string[] lost = [.. _promised.Where(promise => promise.Vault == path && !points.Any(point => point.Tags.Contains(promise.Tag))).Select(promise => promise.Tag)];
            Demand(lost.Length == 0, $"{what}: {path} has lost {string.Join(' ', lost)}");
            foreach (RecoveryPoint point in points)
            {
                Demand(point.Damage is null && await IsRightAsync(vault, point), $"{what}: point {point.ShortId} of {path} does not restore");
            }

            VerifyReport report = await vault.VerifyAsync(null, VerifyLevel.Data, null, CancellationToken.None);
            Demand(report.IsSound, $"{what}: {path}: {(report.IsSound ? "" : report.Damage[0].What)}");
        }
    }

    private void DropPromises(IEnumerable<string> tags)
    {
        HashSet<string> dropped = [.. tags];
        _promised.RemoveWhere(promise => promise.Vault == MainVault && dropped.Contains(promise.Tag));
    }

    private static void Demand(bool isSo, string otherwise)
    {
        if (!isSo)
        {
            throw new InvalidOperationException(otherwise);
        }
    }

    private Task<BackupVault> OpenAsync(string path) =>
        BackupVault.OpenAsync(new LocalDirectory(path), path == MainVault ? _code : s_password, TimeProvider.System, CancellationToken.None);

    private async Task<bool> IsRightAsync(BackupVault vault, RecoveryPoint point)
    {
        byte[] expected = _contents[point.Tags.Single()];
        await using IBlockReader image = vault.OpenImage(point.Volumes[0]);
        byte[] read = new byte[expected.Length];
        await image.ReadAsync(0, read, CancellationToken.None);
        return read.AsSpan().SequenceEqual(expected);
    }

    private ProcessRun Start(IEnumerable<string> command) => ProcessRun.Start(StartInfo(command));

    private ProcessStartInfo StartInfo(IEnumerable<string> command)
    {
        ProcessStartInfo start = new QuenchCli(MainVault, _password).StartInfo(command);
        start.Environment["QUENCH_TO_PASSWORD"] = Password;
        start.Environment["QUENCH_NEW_PASSWORD"] = _nextPassword;
        return start;
    }

    /// <summary>Takes down what a command has said about new points: whoever was told may rely on it.</summary>
    private async Task NoteAsync(string output)
    {
        foreach (string line in output.Split('\n').Where(line => line.StartsWith('{') && line.EndsWith('}')))
        {
            JsonElement message = JsonDocument.Parse(line).RootElement;
            switch (message.GetProperty("message_type").GetString())
            {
                case "summary" when message.TryGetProperty("point", out _):
                    _promised.Add((MainVault, Tag));
                    break;
                case "summary" when message.TryGetProperty("sound", out JsonElement sound):
                    _mayBeRotten &= !sound.GetBoolean();
                    break;
                case "summary":
                    NoteKey(message);
                    break;
                case "copied":
                    _promised.Add((SecondVault, await TagOfAsync(message.GetProperty("point").GetString()!)));
                    break;
            }
        }
    }

    private async Task<string> TagOfAsync(string point)
    {
        await using BackupVault vault = await OpenAsync(MainVault);
        return (await vault.FindPointAsync(point, CancellationToken.None))!.Tags.Single();
    }
}
