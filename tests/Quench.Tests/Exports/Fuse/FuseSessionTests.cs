using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Exports.Fuse;

/// <summary>A session whose kernel is this test: what is said before anything is read, what an answer carries, who is never answered.</summary>
public sealed class FuseSessionTests : IDisposable
{
    private const int Header = 40;
    private const int Block = 4096;
    private const int Read = 15;
    private const int Write = 16;
    private const int NotifyResend = 7;
    private const int NoDevice = -19;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);

    private readonly SafeFileHandle _kernel;
    private readonly SafeFileHandle _ours;
    private readonly ScriptedFile _file = new();
    private FuseSession? _session;

    public FuseSessionTests() => (_kernel, _ours) = MessagePair.Create();

    public void Dispose()
    {
        _file.Gate.Set();
        _kernel.Dispose();
        _session?.Dispose();
    }

    [Fact]
    public void A_session_that_takes_over_has_requests_sent_again_before_it_reads_any()
    {
        Ask(Write, 2, unique: 10); // lies there already, and must not be answered first
        Begin(resend: true);

        (int error, ulong unique, int length) = Receive();
        Assert.Equal((NotifyResend, 0UL, 16), (error, unique, length));
        Assert.Equal((0, 10UL), Answer());
    }

    [Fact]
    public void A_session_that_does_not_take_over_sends_nothing_of_its_own_accord()
    {
        Begin(resend: false);
        Ask(Read, 2, unique: 11);
        Assert.Equal((0, 11UL), Answer());
    }

    [Fact]
    public void A_request_that_is_sent_again_is_answered_under_the_number_that_it_came_with()
    {
        const ulong Again = 12 | (1UL << 63);
        Begin(resend: false);
        Ask(Write, 2, Again);
        Assert.Equal((0, Again), Answer());
    }

    [Fact]
    public void A_node_of_an_earlier_session_is_no_file_of_this_one()
    {
        Begin(resend: false);
        _session!.Add("snapshot-7", _file, 7);
        Ask(Read, 7, unique: 13);
        Assert.Equal((0, 13UL), Answer());
        Ask(Read, 6, unique: 14);
        Assert.Equal((NoDevice, 14UL), Answer());
        _session.Remove("snapshot-7");
        Ask(Read, 7, unique: 15);
        Assert.Equal((NoDevice, 15UL), Answer());
        Assert.Throws<ArgumentException>(() => _session.Add("again", _file, FuseSession.FirstNode));
    }

    [Fact]
    public void Draining_waits_for_what_is_in_work_and_leaves_what_comes_after_it()
    {
        Begin(resend: false);
        _file.Gate.Reset();
        Ask(Write, 2, unique: 16);
        Assert.True(_file.Entered.Wait(s_limit, TestContext.Current.CancellationToken));
        Assert.False(_session!.TryDrain(TimeSpan.FromMilliseconds(20)));
        Ask(Write, 2, unique: 17);
        _file.Gate.Set();

        Assert.True(_session.TryDrain(s_limit));
        Assert.Equal((0, 16UL), Answer());
        Assert.Equal(-1, MessagePair.Receive(_kernel, new byte[64], wait: false));
        Assert.Equal(1, _file.Writes);
        _session = null; // its threads wait for the end of the process, as they must
    }

    private void Begin(bool resend)
    {
        _session = FuseSession.Adopt(_ours, "/", threadCount: 2, watch: null, _ => { });
        _session.Add("volume", _file, FuseSession.FirstNode);
        _session.Start(resend);
    }

    /// <summary>Sends a read or a write of a block, as linux/fuse.h has them.</summary>
    private void Ask(int opcode, ulong node, ulong unique)
    {
        byte[] message = new byte[Header + 40 + (opcode == Write ? Block : 0)];
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(4), opcode);
        BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(8), unique);
        BinaryPrimitives.WriteUInt64LittleEndian(message.AsSpan(16), node);
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(Header + 16), Block);
        Assert.True(MessagePair.TrySend(_kernel, message));
    }

    private (int Error, ulong Unique) Answer()
    {
        (int error, ulong unique, _) = Receive();
        return (error, unique);
    }

    private (int Error, ulong Unique, int Length) Receive()
    {
        byte[] reply = new byte[2 * Block];
        int length = MessagePair.Receive(_kernel, reply, wait: true);
        return (BinaryPrimitives.ReadInt32LittleEndian(reply.AsSpan(4)), BinaryPrimitives.ReadUInt64LittleEndian(reply.AsSpan(8)), length);
    }

    /// <summary>A file whose writes can be held up.</summary>
    private sealed class ScriptedFile : IFuseFile
    {
        private int _writes;

        internal ManualResetEventSlim Gate { get; } = new(initialState: true);

        internal ManualResetEventSlim Entered { get; } = new(initialState: false);

        internal int Writes => Volatile.Read(ref _writes);

        public long Length => 1 << 20;

        public bool IsWritable => true;

        public void Read(long offset, Span<byte> into) => into.Clear();

        public void Write(long offset, ReadOnlySpan<byte> source)
        {
            Interlocked.Increment(ref _writes);
            Entered.Set();
            Gate.Wait();
        }

        public void Flush()
        {
        }

        public void PunchHole(Extent range)
        {
        }

        public void ZeroRange(Extent range)
        {
        }
    }
}
