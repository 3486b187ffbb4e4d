using System.Buffers.Binary;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Snapshots.Writes;

namespace Quench.Imaging.Activity.Writers;

/// <summary>Where the readable part of a log ends.</summary>
/// <param name="Length">Bytes that were read.</param>
/// <param name="LeftOver">Bytes behind them that could not be read; 0 as a rule.</param>
/// <param name="IsTorn">Whether those are the beginning of a frame, as a process leaves it that is killed; otherwise the log is damaged there.</param>
/// <param name="Session">The last watch; null when there was none.</param>
public sealed record LogEnd(long Length, long LeftOver, bool IsTorn, ActivitySession? Session);

/// <summary>Reads a log of watches back.</summary>
public static class ActivityLogReader
{
    /// <summary>Reads all that is complete.</summary>
    /// <param name="path">The file.</param>
    /// <param name="into">Gets the sessions and their events.</param>
    /// <exception cref="QuenchException">ACT-104: it is no such log, or a frame with a right checksum says what can't be.</exception>
    public static LogEnd Read(string path, IActivitySink into)
    {
        using FileStream file = Open(path);
        Span<byte> magic = stackalloc byte[ActivityLogFormat.Magic.Length];
        if (file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) < magic.Length || !magic.SequenceEqual(ActivityLogFormat.Magic))
        {
            throw NoLog(path, "it does not begin as one");
        }

        LogSession session = new(into);
        long end = file.Position;
        bool isTorn;
        while (TryReadFrame(file, out isTorn) is { } payload)
        {
            try
            {
                session.Take(payload);
            }
            catch (Exception failure) when (failure is IOException or FormatException or ArgumentException or InvalidDataException or OverflowException)
            {
                throw NoLog(path, $"its frame at byte {end} makes no sense: {failure.Message}");
            }

            end = file.Position;
        }

        return new LogEnd(end, file.Length - end, isTorn, session.Session);
    }

    /// <summary>The refusal of a file.</summary>
    internal static QuenchException NoLog(string path, string why) =>
        new("ACT-104", $"{path} can't be used as a log of activity: {why}", "name a file that `quench activity --log` has made, or a new one") { Effect = "nothing was touched" };

    private static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            throw NoLog(path, failure.Message);
        }
    }

    /// <summary>The next frame's payload; null at the end, at a frame that goes beyond it, and at damage.</summary>
    private static byte[]? TryReadFrame(FileStream file, out bool isTorn)
    {
        Span<byte> header = stackalloc byte[ActivityLogFormat.FrameHeaderBytes];
        isTorn = file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length;
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(header);
        if (isTorn || length == 0 || length > ActivityLogFormat.MaxPayload)
        {
            return null;
        }

        isTorn = length > file.Length - file.Position;
        if (isTorn)
        {
            return null;
        }

        byte[] payload = new byte[length];
        file.ReadExactly(payload);
        return ~Crc32c.Append(uint.MaxValue, payload) == BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) ? payload : null;
    }

    /// <summary>The frames of a log one after the other, with the numbers of the session's processes and files.</summary>
    private sealed class LogSession(IActivitySink into)
    {
        private readonly List<WritingProcess> _processes = [];
        private readonly List<WrittenFile> _files = [];

        public ActivitySession? Session { get; private set; }

        public void Take(byte[] payload)
        {
            using BinaryReader reader = new(new MemoryStream(payload), ActivityLogFormat.Text);
            byte kind = reader.ReadByte();
            if (kind == ActivityLogFormat.Session)
            {
                Begin(reader);
            }
            else if (Session is null)
            {
                throw new InvalidDataException("no session has begun");
            }
            else if (kind == ActivityLogFormat.Events)
            {
                AddEvents(reader);
            }
            else if (kind == ActivityLogFormat.Watched)
            {
                into.Watched(Time(reader.ReadInt64()), new WriteLosses(Next(), Next(), Next(), Next(), Next(), Next(), Next()));
            }
            else
            {
                throw new InvalidDataException($"a frame of kind {kind}");
            }

            long Next() => reader.Read7BitEncodedInt64();
        }

        private void Begin(BinaryReader reader)
        {
            _processes.Clear();
            _files.Clear();
            Session = new ActivitySession(
                Time(reader.ReadInt64()), reader.ReadString(), OrNull(reader.ReadString()), OrNull(reader.ReadString()), reader.Read7BitEncodedInt64(), checked((int)reader.Read7BitEncodedInt64()));
            into.Begin(Session);
        }

        private void AddEvents(BinaryReader reader)
        {
            long ticks = reader.ReadInt64();
            long end = 0;
            for (int count = reader.Read7BitEncodedInt(); count > 0; count--)
            {
                int tag = reader.ReadByte();
                ticks += checked(reader.ReadSigned() * ActivityLogFormat.TimeTicks);
                long offset = checked(end + (reader.ReadSigned() * ActivityLogFormat.SectorBytes));
                long length = checked(reader.Read7BitEncodedInt64() * ActivityLogFormat.SectorBytes);
                WritingProcess process = ReadProcess(reader, (tag & ActivityLogFormat.NewProcess) != 0);
                WrittenFile file = ReadFile(reader, (tag & ActivityLogFormat.FileTold) != 0);
                WriteKind kind = (WriteKind)(tag & ActivityLogFormat.KindMask);
                if (!Enum.IsDefined(kind) || offset < 0 || length < 0)
                {
                    throw new InvalidDataException("an event that can't be");
                }

                into.Add(new WriteEvent(Time(ticks), kind, offset, length, process, (WriterEvidence)((tag >> ActivityLogFormat.EvidenceShift) & ActivityLogFormat.EvidenceMask), file));
                end = checked(offset + length);
            }
        }

        private WritingProcess ReadProcess(BinaryReader reader, bool isNew)
        {
            int number = reader.Read7BitEncodedInt();
            if (isNew)
            {
                WritingProcess told = new(reader.Read7BitEncodedInt(), "", reader.ReadBoolean());
                told = told with { Name = reader.ReadString() };
                _processes.Add(told == WritingProcess.Unknown ? WritingProcess.Unknown : told);
            }

            return _processes[number];
        }

        private WrittenFile ReadFile(BinaryReader reader, bool isTold)
        {
            int number = reader.Read7BitEncodedInt();
            if (isTold)
            {
                WrittenKind kind = (WrittenKind)reader.ReadByte();
                ulong inode = unchecked((ulong)reader.Read7BitEncodedInt64());
                if (!Enum.IsDefined(kind))
                {
                    throw new InvalidDataException("a file that can't be");
                }

                if (number == _files.Count)
                {
                    _files.Add(new WrittenFile(kind, inode));
                }

                _files[number].Path = OrNull(reader.ReadString());
            }

            return _files[number];
        }

        private static DateTimeOffset Time(long ticks) => new(ticks, TimeSpan.Zero);

        private static string? OrNull(string text) => text.Length == 0 ? null : text;
    }
}
