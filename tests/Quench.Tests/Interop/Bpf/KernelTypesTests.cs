using System.Buffers.Binary;
using System.Text;
using Quench.Interop.Bpf;
using Xunit;

namespace Quench.Tests.Interop.Bpf;

/// <summary>A description of types made by hand, so that each form of it is there; then the running kernel's.</summary>
public sealed class KernelTypesTests
{
    private const uint Struct = 4;
    private const uint Union = 5;
    private const uint Const = 10;
    private const uint Typedef = 8;
    private const uint Pointer = 2;
    private const uint Prototype = 13;
    private const uint Int = 1;
    private const uint Enum = 6;

    [Fact]
    public void Fields_are_found_by_name_inside_nameless_parts_and_along_a_path()
    {
        KernelTypes types = Sample().Build();
        Assert.Equal(0, types.FindField("request", "q"));
        Assert.Equal(8, types.FindField("request", "either"));
        Assert.Equal(12, types.FindField("request", "inner"));
        Assert.Equal(24, types.FindField("request", "iter.size"));
    }

    [Fact]
    public void What_is_not_there_is_answered_so()
    {
        KernelTypes types = Sample().Build();
        Assert.Null(types.FindField("request", "nothing"));
        Assert.Null(types.FindField("nobody", "q"));
        Assert.Null(types.FindField("request", "q.nothing"));
        Assert.Null(types.FindField("request", "bits")); // a bit field has no place in bytes
        Assert.Null(types.FindTracepoint("block_nothing"));
    }

    [Fact]
    public void A_tracepoint_tells_what_it_hands_over()
    {
        Assert.Equal(["request", "int"], Sample().Build().FindTracepoint("block_test"));
    }

    [Fact]
    public void Structures_have_sizes_and_enumerations_values()
    {
        KernelTypes types = Sample().Build();
        Assert.Equal(40, types.FindSize("request"));
        Assert.Null(types.FindSize("nobody"));
        Assert.Equal(6, types.FindEnumerator("flags", "HEAD"));
        Assert.Null(types.FindEnumerator("flags", "nothing"));
        Assert.Null(types.FindEnumerator("nobody", "HEAD"));
    }

    [Fact]
    public void Bytes_that_are_cut_off_anywhere_are_refused_or_answer_nothing()
    {
        byte[] whole = Sample().Bytes();
        for (int length = 0; length < whole.Length; length++)
        {
            try
            {
                KernelTypes.Parse(whole[..length]).FindField("request", "iter.size");
            }
            catch (Exception failure) when (failure is InvalidDataException or ArgumentOutOfRangeException)
            {
                continue;
            }

            Assert.Fail($"{length} of {whole.Length} bytes were taken for the whole");
        }
    }

    [Fact]
    public void The_running_kernel_tells_of_its_requests()
    {
        KernelTypes? types = KernelTypes.ReadRunning();
        Assert.SkipWhen(types is null, "needs a kernel with BTF");
        Assert.NotNull(types.FindField("bio", "bi_iter.bi_sector"));
        Assert.Equal(types.FindField("bio", "bi_iter"), types.FindField("bio", "bi_iter.bi_sector"));
        Assert.Contains("bio", types.FindTracepoint("block_bio_queue")!);
    }

    private static TypeList Sample()
    {
        TypeList list = new();
        list.Add(Int, "int", 0, 4, [0x20]);                                                                                       // 1
        list.Add(Struct, "part", 2, 8, list.Member("at", 1, 0), list.Member("size", 1, 32));                                      // 2
        list.Add(Const, "", 0, 2);                                                                                                // 3
        list.Add(Union, "", 2, 8, list.Member("either", 1, 0), list.Member("or", 1, 0));                                          // 4
        list.Add(Struct, "", 2, 8, list.Member("ignored", 1, 0), list.Member("inner", 1, 32));                                    // 5
        list.Add(Struct, "request", 6, 40, true, list.Member("q", 8, 0), list.Member("", 4, 64), list.Member("", 5, 64),
            list.Member("iter", 3, 160), list.Member("bits", 1, 224 | (3u << 24)), list.Member("tail", 1, 256));                  // 6
        list.Add(Pointer, "", 0, 6);                                                                                              // 7
        list.Add(Pointer, "", 0, 1);                                                                                              // 8
        list.Add(Prototype, "", 3, 0, [0, 0], [0, 7], [0, 1]);                                                                    // 9
        list.Add(Pointer, "", 0, 9);                                                                                              // 10
        list.Add(Typedef, "btf_trace_block_test", 0, 10);                                                                         // 11
        list.Add(Enum, "flags", 2, 4, list.Value("LOCKED", 0), list.Value("HEAD", 6));                                            // 12
        return list;
    }

    private sealed class TypeList
    {
        private readonly List<uint> _types = [];
        private readonly List<byte> _strings = [0];

        public uint[] Value(string name, uint value) => [Text(name), value];

        public uint[] Member(string name, uint type, uint place) => [Text(name), type, place];

        public void Add(uint kind, string name, uint count, uint size, params uint[][] details) => Add(kind, name, count, size, false, details);

        public void Add(uint kind, string name, uint count, uint size, bool flag, params uint[][] details)
        {
            _types.AddRange([Text(name), count | (kind << 24) | (flag ? 1u << 31 : 0), size]);
            _types.AddRange(details.SelectMany(detail => detail));
        }

        public KernelTypes Build() => KernelTypes.Parse(Bytes());

        public byte[] Bytes()
        {
            byte[] bytes = new byte[24 + (_types.Count * 4) + _strings.Count];
            uint[] header = [0x0001EB9F, 24, 0, (uint)_types.Count * 4, (uint)_types.Count * 4, (uint)_strings.Count];
            int at = 0;
            foreach (uint word in header.Concat(_types))
            {
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), word);
                at += 4;
            }

            _strings.CopyTo(bytes, at);
            return bytes;
        }

        private uint Text(string name)
        {
            if (name.Length == 0)
            {
                return 0;
            }

            uint at = (uint)_strings.Count;
            _strings.AddRange(Encoding.ASCII.GetBytes(name));
            _strings.Add(0);
            return at;
        }
    }
}
