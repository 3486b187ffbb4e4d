using System.Text.Json;

namespace Quench.Snapshots.Coordination.Remote;

/// <summary>A writer in another process, spoken to in lines of JSON. (docs/writer-protocol.md)</summary>
/// <remarks>
/// One question is open at a time. An answer to an earlier one is late and thrown away; one to a question not asked yet, too many that nobody asked for, or a line that is
/// none, ends the conversation.
/// </remarks>
internal sealed class LineWriter : IRemoteWriter
{
    /// <summary>The longest line that is read, in bytes.</summary>
    public const int LongestLine = 1 << 20;

    private const string HungUp = "it was hung up on";

    private static readonly Guid s_unknown = new("5c1d7a58-0f0e-49e5-8a55-0d6f0c1d9c02");

    private static readonly TimeSpan s_lastWords = TimeSpan.FromSeconds(1);

    private readonly ILineConnection _connection;
    private readonly TaskCompletionSource<string> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _sending = new(1);
    private readonly Lock _gate = new();            // guards the four below
    private TaskCompletionSource<JsonElement>? _open;
    private int _call;
    private int _strays;
    private MemoryStream _line = new();
    private readonly SemaphoreSlim _door = new(1);  // guards the two below and the connection's opening and closing: nothing is opened behind the back of who closed it
    private bool _isOpened;
    private bool _isClosed;

    public LineWriter(ILineConnection connection)
    {
        _connection = connection;
        Identity = new WriterIdentity(s_unknown, WriterIdentity.InstanceIdOf(s_unknown, connection.Name), "Unknown", connection.Name);
    }

    public WriterIdentity Identity { get; private set; }

    public Task<string> Lost => _lost.Task;

    public TimeSpan NextDeadline { get; set; } = TimeSpan.FromSeconds(60);

    public async ValueTask<WriterMetadata> IdentifyAsync(CancellationToken cancellationToken)
    {
        JsonElement answer = await AskAsync(WriterEvent.Identify, null, cancellationToken);
        (Identity, WriterMetadata metadata) = WriterMessages.ReadWriter(answer, _connection.Name);
        return metadata;
    }

    public async ValueTask PrepareBackupAsync(BackupOperation operation, CancellationToken cancellationToken) =>
        await AskAsync(WriterEvent.PrepareBackup, json => WriterMessages.Write(json, operation), cancellationToken);

    public async ValueTask PrepareSnapshotAsync(CancellationToken cancellationToken) => await AskAsync(WriterEvent.PrepareSnapshot, null, cancellationToken);

    public async ValueTask FreezeAsync(CancellationToken cancellationToken) => await AskAsync(WriterEvent.Freeze, null, cancellationToken);

    public async ValueTask<HoldAnswer> ThawAsync(CancellationToken cancellationToken) =>
        WriterMessages.ReadHeld(await AskAsync(WriterEvent.Thaw, null, cancellationToken));

    public async ValueTask<IReadOnlyList<WriterDocument>> PostSnapshotAsync(CancellationToken cancellationToken) =>
        WriterMessages.ReadDocuments(await AskAsync(WriterEvent.PostSnapshot, null, cancellationToken));

    public async ValueTask BackupCompleteAsync(BackupOutcome outcome, CancellationToken cancellationToken) =>
        await AskAsync(WriterEvent.BackupComplete, json => WriterMessages.Write(json, outcome), cancellationToken);

    public async ValueTask AbortAsync(CancellationToken cancellationToken)
    {
        if (_isOpened)
        {
            await AskAsync(WriterEvent.Abort, null, cancellationToken);
        }
    }

    public async ValueTask PreRestoreAsync(RestoreOperation operation, CancellationToken cancellationToken) =>
        await AskAsync(WriterEvent.PreRestore, json => WriterMessages.Write(json, operation, null), cancellationToken);

    public async ValueTask PostRestoreAsync(RestoreOperation operation, bool succeeded, CancellationToken cancellationToken) =>
        await AskAsync(WriterEvent.PostRestore, json => WriterMessages.Write(json, operation, succeeded), cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _door.WaitAsync();
        try
        {
            _isClosed = true;
            await _connection.DisposeAsync();
        }
        finally
        {
            _door.Release();
        }

        Lose(HungUp);
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        await _door.WaitAsync(cancellationToken);
        try
        {
            if (_isClosed)
            {
                throw new WriterException(WriterError.NotResponding, HungUp);
            }

            if (!_isOpened)
            {
                _isOpened = true;
                await _connection.OpenAsync(Take, Lose, cancellationToken);
            }
        }
        finally
        {
            _door.Release();
        }
    }

    private async Task<JsonElement> AskAsync(WriterEvent step, Action<Utf8JsonWriter>? more, CancellationToken cancellationToken)
    {
        await OpenAsync(cancellationToken);
        TaskCompletionSource<JsonElement> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int call;
        lock (_gate)
        {
            _open?.TrySetCanceled(CancellationToken.None); // an abort overtakes it
            _open = answer;
            call = ++_call;
        }

        if (_lost.Task.IsCompleted)
        {
            throw new WriterException(WriterError.NotResponding, await _lost.Task);
        }

        await SendAsync(WriterMessages.Question(call, step, NextDeadline, more), cancellationToken);
        using CancellationTokenRegistration late = cancellationToken.Register(() => answer.TrySetCanceled(cancellationToken));
        JsonElement said = await answer.Task;
        WriterMessages.ThrowIfFailed(said);
        return said;
    }

    private async Task SendAsync(byte[] line, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken);
        try
        {
            await _connection.SendAsync(line, cancellationToken);
        }
        catch (IOException failure)
        {
            await Task.WhenAny(_lost.Task, Task.Delay(s_lastWords, CancellationToken.None)); // why it is gone is better told by how it ended
            Lose($"it hung up: {failure.Message}");
            throw new WriterException(WriterError.NotResponding, await _lost.Task, failure);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Takes what comes in, and cuts it into lines.</summary>
    private bool Take(ReadOnlyMemory<byte> bytes)
    {
        ReadOnlySpan<byte> rest = bytes.Span;
        while (!rest.IsEmpty)
        {
            int end = rest.IndexOf((byte)'\n');
            ReadOnlySpan<byte> part = end < 0 ? rest : rest[..end];
            if (_line.Length + part.Length > LongestLine)
            {
                Lose($"it sent a line of more than {LongestLine} bytes");
                return false;
            }

            _line.Write(part);
            if (end < 0)
            {
                return true;
            }

            MemoryStream line = _line;
            _line = new MemoryStream();
            if (!Hear(line.GetBuffer().AsMemory(0, (int)line.Length)))
            {
                return false;
            }

            rest = rest[(end + 1)..];
        }

        return true;
    }

    private bool Hear(ReadOnlyMemory<byte> line)
    {
        JsonElement answer;
        int call;
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            answer = document.RootElement.Clone();
            call = answer.GetProperty("call").GetInt32();
        }
        catch (Exception failure) when (failure is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            Lose("it sent a line that is no answer of the writer protocol");
            return false;
        }

        TaskCompletionSource<JsonElement>? open = null;
        string? fault = null;
        lock (_gate)
        {
            if (call == _call && _open is not null)
            {
                (open, _open) = (_open, null);
            }
            else
            {
                _strays++;
                fault = call > _call ? "it answered what it had not been asked"
                    : _strays > Coordinator.MostStrays ? $"it sent more than {Coordinator.MostStrays} answers that nobody had asked for"
                    : null;
            }
        }

        open?.TrySetResult(answer);
        if (fault is not null)
        {
            Lose(fault);
        }

        return fault is null;
    }

    private void Lose(string reason)
    {
        if (_lost.TrySetResult(reason))
        {
            TaskCompletionSource<JsonElement>? open;
            lock (_gate)
            {
                (open, _open) = (_open, null);
            }

            open?.TrySetException(new WriterException(WriterError.NotResponding, reason));
        }
    }
}
