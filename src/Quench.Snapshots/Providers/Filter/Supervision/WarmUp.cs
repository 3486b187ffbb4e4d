using System.Buffers.Binary;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>
/// Runs everything that a worker does once it has the word, on a disk in memory and over a line of our own in the kernel's place: so that nothing is
/// compiled, loaded or paged in while production waits.
/// </summary>
internal static class WarmUp
{
    private const int Rounds = 40; // past the count at which the runtime compiles a method for good
    private const int DiskBytes = 1 << 20;
    private const int Block = 4096;
    private const int HeaderSize = 40;
    private const int ArgumentsSize = 40;

    internal static async Task RunAsync(Board board)
    {
        using SharedMemory memory = SharedMemory.Create("quench-warm-up", DiskBytes / sizeof(long));
        await using Disk disk = Disk.OpenHeld(memory.File, "the warm-up's memory", DeviceAccess.ReadWrite);
        disk.Watch = board;
        using (WriteTracker tracker = Track(disk))
        {
            FilterVolume volume = new(disk, Block, new TrackingStart(tracker, null));
            Serve(volume, board, () => Snapshot(volume));
        }

        Serve(new PassThroughVolume(disk), board, static () => { });
        Converse();
    }

    /// <summary>Makes, reads and recovers a tracking state.</summary>
    private static WriteTracker Track(Disk disk)
    {
        OriginFacts facts = new(disk.Geometry.Length, "warm-up", "warm-up", "warm-up", false);
        Memory medium = new((int)(ChangeTracker.PagesFor(facts.Length) * ChangeTracker.PageSize));
        TrackingSession session = new(Guid.NewGuid(), Guid.NewGuid(), facts);
        using (WriteTracker first = new(new ChangeTracker(facts.Length, session.State, 1, []), medium, session, "", new TrackingPace(), _ => { }))
        {
            Generation generation = first.NewGeneration();
            first.Advance(generation);
            first.Remember(Guid.NewGuid(), Guid.NewGuid(), [], generation);
        }

        TrackingRecovery recovery = TrackingRecovery.From(medium.Slots, medium.Intents, null, facts, new HeldOrigin(null));
        return new WriteTracker(
            new ChangeTracker(facts.Length, session.State, recovery.Sequence + 1, recovery.Marks), medium, session, recovery.Lost, new TrackingPace(), _ => { });
    }

    private static void Serve(IFuseFile file, Board board, Action meanwhile)
    {
        (SafeFileHandle kernel, SafeFileHandle ours) = MessagePair.Create();
        using FuseSession session = FuseSession.Adopt(ours, "/", threadCount: 1, board, static _ => { });
        using (kernel)
        {
            session.Add("volume", file, FuseSession.FirstNode);
            session.Start(resend: false);
            for (int round = 0; round < Rounds; round++)
            {
                Ask(kernel, Opcode.Write, round, Block);
                Ask(kernel, Opcode.Read, round, 0);
                Ask(kernel, Opcode.Sync, round, 0);
                Ask(kernel, Opcode.Allocate, round, 0);
            }

            meanwhile();
            Ask(kernel, Opcode.Write, 0, Block);
            session.TryDrain(TimeSpan.FromSeconds(1));
        }
    }

    /// <summary>Takes a snapshot, has writes save blocks for it, and reads one.</summary>
    private static void Snapshot(FilterVolume volume)
    {
        using NativeBlock block = new();
        ControlRequest request = new() { Op = "prepare", MemoryBytes = DiskBytes, CapBytes = DiskBytes };
        ActiveSnapshot snapshot = ActiveSnapshot.Prepare(volume, request, static _ => { });
        volume.Activate(snapshot, TimeSpan.FromSeconds(1));
        SnapshotFile file = new(volume, snapshot);
        for (int round = 0; round < Rounds; round++)
        {
            volume.Write(round * Block, block.Span);
            file.Read(round * Block, block.Span);
        }

        volume.Deactivate(snapshot);
    }

    private static void Converse()
    {
        ControlRequest request = JsonSerializer.Deserialize("""{"op":"ping"}""", ControlJson.Default.ControlRequest)!;
        JsonSerializer.SerializeToUtf8Bytes(new ControlReply { Path = request.Op }, ControlJson.Default.ControlReply);
    }

    /// <summary>Sends one request as the kernel would (linux/fuse.h) and takes the answer.</summary>
    private static void Ask(SafeFileHandle kernel, Opcode opcode, int round, int payload)
    {
        Span<byte> message = stackalloc byte[HeaderSize + ArgumentsSize + Block];
        message.Clear();
        int length = HeaderSize + ArgumentsSize + payload;
        BinaryPrimitives.WriteInt32LittleEndian(message, length);
        BinaryPrimitives.WriteInt32LittleEndian(message[4..], (int)opcode);
        BinaryPrimitives.WriteInt64LittleEndian(message[8..], round + 2);
        BinaryPrimitives.WriteUInt64LittleEndian(message[16..], FuseSession.FirstNode);
        Span<byte> arguments = message[HeaderSize..];
        BinaryPrimitives.WriteInt64LittleEndian(arguments[8..], round * Block);
        BinaryPrimitives.WriteInt32LittleEndian(arguments[16..], Block);
        if (opcode == Opcode.Allocate)
        {
            const int PunchHoleKeepSize = 3;
            BinaryPrimitives.WriteInt32LittleEndian(arguments[24..], PunchHoleKeepSize);
        }

        MessagePair.TrySend(kernel, message[..length]);
        MessagePair.Receive(kernel, message, wait: true);
    }

    private enum Opcode
    {
        Read = 15,
        Write = 16,
        Sync = 20,
        Allocate = 43,
    }

    private sealed class NativeBlock : IDisposable
    {
        private readonly Quench.Interop.Memory.NativeBuffer _buffer = new(Block);

        internal Span<byte> Span => _buffer.GetSpan();

        public void Dispose() => ((IDisposable)_buffer).Dispose();
    }

    /// <summary>A tracking state in memory.</summary>
    private sealed class Memory(int intentBytes) : ITrackingMedium
    {
        internal byte[] Intents { get; } = new byte[intentBytes];

        internal byte[][] Slots { get; } = [[], []];

        public void WriteIntents(int page, ReadOnlySpan<byte> bytes) => bytes.CopyTo(Intents.AsSpan(page * ChangeTracker.PageSize));

        public void SyncIntents()
        {
        }

        public void WriteSlot(int slot, ReadOnlySpan<byte> bytes) => Slots[slot] = bytes.ToArray();

        public void Dispose()
        {
        }
    }
}
