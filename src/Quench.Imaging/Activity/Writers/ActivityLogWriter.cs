using System.Buffers.Binary;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Snapshots.Writes;

namespace Quench.Imaging.Activity.Writers;

/// <summary>
/// Appends watches to a log file. What has been taken in is in the file after each <see cref="Watched"/>; it is not forced to the medium, so that a log does not cause the writes that it counts: a power
/// cut may cost the last half minute. For one thread.
/// </summary>
public sealed class ActivityLogWriter : IActivitySink, IDisposable
{
    private static readonly TimeSpan s_idleSpacing = TimeSpan.FromSeconds(10);

    private readonly FileStream _file;
    private readonly MemoryStream _payload = new();
    private readonly BinaryWriter _writer;
    private readonly MemoryStream _events = new();
    private readonly BinaryWriter _eventWriter;
    private readonly Dictionary<WritingProcess, int> _processes = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<WrittenFile, (int Number, string? Path)> _files = new(ReferenceEqualityComparer.Instance);
    private int _count;
    private long _firstTicks;
    private long _lastTicks;
    private long _lastEnd;
    private DateTimeOffset _until; // told last
    private WriteLosses _losses;
    private DateTimeOffset _written; // in the file
    private WriteLosses _writtenLosses;

    private ActivityLogWriter(FileStream file)
    {
        _file = file;
        _writer = new BinaryWriter(_payload, ActivityLogFormat.Text);
        _eventWriter = new BinaryWriter(_events, ActivityLogFormat.Text);
    }

    /// <summary>Opens a log to append to, or makes one. An incomplete frame at its end, which a process left that was killed, is cut off.</summary>
    /// <param name="path">The file.</param>
    /// <param name="device">The volume that is to be watched: a log is of one volume.</param>
    /// <exception cref="QuenchException">ACT-104: the file is no such log, or damaged; ACT-105: it is another volume's.</exception>
    public static ActivityLogWriter Open(string path, string device)
    {
        long length = File.Exists(path) && new FileInfo(path).Length > 0 ? FindEnd(path, device) : 0;
        FileStream file = new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        file.SetLength(length);
        file.Position = length;
        if (length == 0)
        {
            file.Write(ActivityLogFormat.Magic);
        }

        return new ActivityLogWriter(file);
    }

    /// <inheritdoc/>
    public void Begin(ActivitySession session)
    {
        _processes.Clear();
        _files.Clear();
        (_until, _written, _losses, _writtenLosses) = (session.Start, session.Start, default, default);
        _writer.Write(ActivityLogFormat.Session);
        _writer.Write(session.Start.UtcTicks);
        _writer.Write(session.Device);
        _writer.Write(session.MountPoint ?? "");
        _writer.Write(session.FileSystem ?? "");
        _writer.Write7BitEncodedInt64(session.Length);
        _writer.Write7BitEncodedInt64(session.OwnProcess);
        WriteFrame();
        _file.Flush();
    }

    /// <inheritdoc/>
    public void Add(in WriteEvent heard)
    {
        if (_count == 0)
        {
            _firstTicks = _lastTicks = heard.At.UtcTicks;
            _lastEnd = 0;
        }

        bool isNew = !_processes.TryGetValue(heard.Process, out int process);
        bool isTold = _files.TryGetValue(heard.File, out (int Number, string? Path) file) && file.Path == heard.File.Path;
        long ticks = (heard.At.UtcTicks - _lastTicks) / ActivityLogFormat.TimeTicks;
        _eventWriter.Write((byte)((int)heard.Kind | ((int)heard.Evidence << ActivityLogFormat.EvidenceShift)
            | (isNew ? ActivityLogFormat.NewProcess : 0) | (isTold ? 0 : ActivityLogFormat.FileTold)));
        _eventWriter.WriteSigned(ticks);
        _eventWriter.WriteSigned((heard.Offset - _lastEnd) / ActivityLogFormat.SectorBytes);
        _eventWriter.Write7BitEncodedInt64(heard.Length / ActivityLogFormat.SectorBytes);
        TellProcess(heard.Process, isNew, process);
        TellFile(heard.File, isTold, file.Number);
        _lastTicks += ticks * ActivityLogFormat.TimeTicks;
        _lastEnd = heard.Offset + heard.Length;
        _count++;
    }

    /// <inheritdoc/>
    public void Watched(DateTimeOffset until, WriteLosses losses)
    {
        (_until, _losses) = (until, losses);
        if (_count > 0 || losses != _writtenLosses || until - _written >= s_idleSpacing)
        {
            Write();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_until > _written)
        {
            Write();
        }

        _file.Dispose();
        _writer.Dispose();
        _eventWriter.Dispose();
    }

    private static long FindEnd(string path, string device)
    {
        LogEnd end = ActivityLogReader.Read(path, new Nowhere());
        return end switch
        {
            { LeftOver: > 0, IsTorn: false } => throw ActivityLogReader.NoLog(path, $"it is damaged {ByteSize.Format(end.LeftOver)} before its end; what is before that can be read with --from"),
            { Session: { } session } when session.Device != device =>
                throw new QuenchException("ACT-105", $"{path} is the log of {session.Device}, not of {device}", "name another file; each volume has a log of its own") { Effect = "nothing was touched" },
            _ => end.Length,
        };
    }

    private void TellProcess(WritingProcess process, bool isNew, int number)
    {
        if (!isNew)
        {
            _eventWriter.Write7BitEncodedInt(number);
            return;
        }

        _eventWriter.Write7BitEncodedInt(_processes.Count);
        _eventWriter.Write7BitEncodedInt(process.Id);
        _eventWriter.Write(process.IsKernel);
        _eventWriter.Write(process.Name);
        _processes.Add(process, _processes.Count);
    }

    private void TellFile(WrittenFile file, bool isTold, int number)
    {
        if (isTold)
        {
            _eventWriter.Write7BitEncodedInt(number);
            return;
        }

        number = _files.TryGetValue(file, out (int Number, string? Path) known) ? known.Number : _files.Count;
        _files[file] = (number, file.Path);
        _eventWriter.Write7BitEncodedInt(number);
        _eventWriter.Write((byte)file.Kind);
        _eventWriter.Write7BitEncodedInt64(unchecked((long)file.Inode));
        _eventWriter.Write(file.Path ?? "");
    }

    private void WriteEvents()
    {
        if (_count > 0)
        {
            _writer.Write(ActivityLogFormat.Events);
            _writer.Write(_firstTicks);
            _writer.Write7BitEncodedInt(_count);
            _writer.Write(_events.GetBuffer().AsSpan(0, (int)_events.Length));
            WriteFrame();
            _events.SetLength(0);
            _count = 0;
        }
    }

    private void Write()
    {
        WriteEvents();
        WriteLosses losses = _losses;
        _writer.Write(ActivityLogFormat.Watched);
        _writer.Write(_until.UtcTicks);
        foreach (long loss in (ReadOnlySpan<long>)[losses.Missed, losses.Events, losses.Bytes, losses.Unread, losses.Names, losses.Pages, losses.ApproximateBytes])
        {
            _writer.Write7BitEncodedInt64(loss);
        }

        WriteFrame();
        _file.Flush();
        (_written, _writtenLosses) = (_until, losses);
    }

    private void WriteFrame()
    {
        ReadOnlySpan<byte> payload = _payload.GetBuffer().AsSpan(0, (int)_payload.Length);
        Span<byte> header = stackalloc byte[ActivityLogFormat.FrameHeaderBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)payload.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], ~Crc32c.Append(uint.MaxValue, payload));
        _file.Write(header);
        _file.Write(payload);
        _payload.SetLength(0);
    }

    private sealed class Nowhere : IActivitySink
    {
        public void Begin(ActivitySession session)
        {
        }

        public void Add(in WriteEvent heard)
        {
        }

        public void Watched(DateTimeOffset until, WriteLosses losses)
        {
        }
    }
}
