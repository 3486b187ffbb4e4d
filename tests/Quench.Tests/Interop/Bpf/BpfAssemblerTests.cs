using Quench.Interop.Bpf;
using Xunit;
using static Quench.Interop.Bpf.BpfRegister;

namespace Quench.Tests.Interop.Bpf;

/// <summary>Instructions against the bytes that the instruction set's specification gives them, and programs against the kernel that runs them.</summary>
public sealed class BpfAssemblerTests
{
    [Fact]
    public void Instructions_are_encoded_as_specified()
    {
        Same(code => code.Move(R1, 1), 0x00000001_0000_01_b7);
        Same(code => code.Move(R3, -1), 0xffffffff_0000_03_b7);
        Same(code => code.Move(R7, R6), 0x00000000_0000_67_bf);
        Same(code => code.Compute(BpfArithmetic.Add, R2, -16), 0xfffffff0_0000_02_07);
        Same(code => code.Compute(BpfArithmetic.Subtract, R2, R1), 0x00000000_0000_12_1f);
        Same(code => code.Compute(BpfArithmetic.ShiftRight, R8, 6), 0x00000006_0000_08_77);
        Same(code => code.Compute(BpfArithmetic.ShiftLeft, R1, R2), 0x00000000_0000_21_6f);
        Same(code => code.Compute(BpfArithmetic.And, R1, 255), 0x000000ff_0000_01_57);
        Same(code => code.Load(BpfWidth.Eight, R6, R1, 8), 0x00000000_0008_16_79);
        Same(code => code.Load(BpfWidth.Four, R7, R10, -8), 0x00000000_fff8_a7_61);
        Same(code => code.Store(BpfWidth.Eight, R10, -24, R1), 0x00000000_ffe8_1a_7b);
        Same(code => code.Store(BpfWidth.Four, R10, -16, R8), 0x00000000_fff0_8a_63);
        Same(code => code.AtomicOr(R0, 0, R1), 0x00000040_0000_10_db);
        Same(code => code.AtomicFetchAdd(R2, 16, R1), 0x00000001_0010_12_db);
        Same(code => code.LoadConstant(R1, 0x1122334455667788), 0x55667788_0000_01_18, 0x11223344_0000_00_00);
        Same(code => code.Call(113), 0x00000071_0000_00_85);
        Same(code => code.Exit(), 0x00000000_0000_00_95);
    }

    [Fact]
    public void A_jump_counts_from_the_instruction_behind_it()
    {
        BpfAssembler code = new();
        BpfLabel start = new();
        BpfLabel end = new();
        code.Place(start);
        code.JumpIf(R1, BpfCondition.Equal, 0, end);
        code.LoadConstant(R1, 1); // counts as two
        code.JumpIf(R1, BpfCondition.SignedNotLess, R2, start);
        code.Jump(end);
        code.Place(end);
        code.Exit();
        ulong[] program = code.Assemble();
        Assert.Equal(0x00000000_0004_01_15UL, program[0]);
        Assert.Equal(0x00000000_fffc_21_7dUL, program[3]);
        Assert.Equal(0x00000000_0000_00_05UL, program[4]);
    }

    [Fact]
    public void A_jump_to_nowhere_is_refused()
    {
        BpfAssembler code = new();
        code.Jump(new BpfLabel());
        Assert.Throws<InvalidOperationException>(() => code.Assemble());
    }

    [Fact]
    public void An_offset_of_more_than_16_bits_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new BpfAssembler().Load(BpfWidth.Eight, R1, R1, 0x8000));

    [Fact]
    public void What_the_kernel_does_not_take_is_refused_with_its_reason()
    {
        Requires.Root();
        BpfAssembler code = new();
        code.Load(BpfWidth.Eight, R0, R0, 0); // r0 holds nothing yet
        code.Exit();
        Exception failure = Assert.Throws<Quench.Interop.Linux.LinuxErrorException>(() => BpfProgram.Load("quench_test", code.Assemble()).Dispose());
        Assert.Contains("!read_ok", failure.Message, StringComparison.Ordinal);
    }

    private static void Same(Action<BpfAssembler> write, params ulong[] expected)
    {
        BpfAssembler code = new();
        write(code);
        Assert.Equal(expected, code.Assemble());
    }
}
