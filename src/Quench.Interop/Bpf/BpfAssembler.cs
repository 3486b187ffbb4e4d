using System.Globalization;

namespace Quench.Interop.Bpf;

/// <summary>
/// Writes BPF programs instruction by instruction, so that no compiler is needed on the machine. One instruction is eight bytes:
///
///     0      1           2        4             8
///     ├ code ┼ src│dst ──┼ offset ┼ immediate ──┤      little-endian; dst is the lower half of its byte
///
/// A load of a 64-bit constant takes two of them. (Documentation/bpf/standardization/instruction-set.rst) Not thread-safe.
/// </summary>
public sealed class BpfAssembler
{
    private const int AluClass = 0x07;
    private const int JumpClass = 0x05;
    private const int LoadCode = 0x61;
    private const int StoreCode = 0x63;
    private const int AtomicEightCode = 0xDB;
    private const int LoadConstantCode = 0x18;
    private const int CallCode = 0x85;
    private const int ExitCode = 0x95;
    private const int FromRegister = 0x08;
    private const int AtomicOrOperation = 0x40;
    private const int AtomicFetchAddOperation = 0x01;
    private const int ReadKernelMemory = 113; // bpf_probe_read_kernel (linux/bpf.h, enum bpf_func_id)
    private const int MapByDescriptor = 1;
    private const int MapValueByDescriptor = 2;

    private readonly List<ulong> _code = [];
    private readonly List<(int Position, BpfLabel Target)> _jumps = [];

    /// <summary>Arithmetic with another register.</summary>
    public void Compute(BpfArithmetic operation, BpfRegister destination, BpfRegister source) =>
        Emit(AluClass | FromRegister | (int)operation, destination, source);

    /// <summary>Arithmetic with a constant, extended by its sign to 64 bits.</summary>
    public void Compute(BpfArithmetic operation, BpfRegister destination, int constant) =>
        Emit(AluClass | (int)operation, destination, immediate: constant);

    /// <summary>Copies a register.</summary>
    public void Move(BpfRegister destination, BpfRegister source) => Compute(BpfArithmetic.Move, destination, source);

    /// <summary>Loads a constant, extended by its sign to 64 bits.</summary>
    public void Move(BpfRegister destination, int constant) => Compute(BpfArithmetic.Move, destination, constant);

    /// <summary>Loads a constant of 64 bits.</summary>
    public void LoadConstant(BpfRegister destination, ulong constant) =>
        EmitWide(destination, 0, unchecked((int)(uint)constant), unchecked((int)(uint)(constant >> 32)));

    /// <summary>Loads a map, as a helper's argument.</summary>
    public void LoadMap(BpfRegister destination, BpfMap map) => EmitWide(destination, MapByDescriptor, map.Descriptor, 0);

    /// <summary>Loads a table, as a helper's argument.</summary>
    public void LoadMap(BpfRegister destination, BpfTable table) => EmitWide(destination, MapByDescriptor, table.Descriptor, 0);

    /// <summary>Loads a ring, as a helper's argument.</summary>
    public void LoadMap(BpfRegister destination, BpfRing ring) => EmitWide(destination, MapByDescriptor, ring.Descriptor, 0);

    /// <summary>Loads the address of a byte of a map's first value.</summary>
    /// <param name="destination">Where to.</param>
    /// <param name="map">A map that was made with one entry.</param>
    /// <param name="offset">Bytes into the value.</param>
    public void LoadMapValue(BpfRegister destination, BpfMap map, int offset) => EmitWide(destination, MapValueByDescriptor, map.Descriptor, offset);

    /// <summary>Reads memory: destination = *(source + offset).</summary>
    public void Load(BpfWidth width, BpfRegister destination, BpfRegister source, int offset) =>
        Emit(LoadCode | (int)width, destination, source, offset);

    /// <summary>Writes memory: *(destination + offset) = source.</summary>
    public void Store(BpfWidth width, BpfRegister destination, int offset, BpfRegister source) =>
        Emit(StoreCode | (int)width, destination, source, offset);

    /// <summary>Sets bits of eight bytes of memory in one step that no other processor sees half of. (Linux 5.12)</summary>
    public void AtomicOr(BpfRegister destination, int offset, BpfRegister source) =>
        Emit(AtomicEightCode, destination, source, offset, AtomicOrOperation);

    /// <summary>Adds to eight bytes of memory in one step; the source becomes what was there before. (Linux 5.12)</summary>
    public void AtomicFetchAdd(BpfRegister destination, int offset, BpfRegister source) =>
        Emit(AtomicEightCode, destination, source, offset, AtomicFetchAddOperation);

    /// <summary>Jumps.</summary>
    public void Jump(BpfLabel target) => EmitJump(JumpClass, default, default, 0, target);

    /// <summary>Jumps when a comparison of two registers holds.</summary>
    public void JumpIf(BpfRegister first, BpfCondition condition, BpfRegister second, BpfLabel target) =>
        EmitJump(JumpClass | FromRegister | (int)condition, first, second, 0, target);

    /// <summary>Jumps when a comparison with a constant, extended by its sign, holds.</summary>
    public void JumpIf(BpfRegister first, BpfCondition condition, int constant, BpfLabel target) =>
        EmitJump(JumpClass | (int)condition, first, default, constant, target);

    /// <summary>Calls one of the kernel's helpers by its number.</summary>
    public void Call(int helper) => Emit(CallCode, default, immediate: helper);

    /// <summary>Reads a field of kernel memory: into = *(from + offset). The registers r0 to r5 are lost. (bpf_probe_read_kernel, Linux 5.5)</summary>
    /// <param name="width">Bytes of the field; four fill the upper half of the register with zeros.</param>
    /// <param name="into">Where to.</param>
    /// <param name="from">The structure's address.</param>
    /// <param name="offset">Where in it the field lies.</param>
    /// <param name="scratch">Eight bytes of stack that it may use.</param>
    /// <param name="onFault">Where it goes when there is no such memory; null to go on with 0.</param>
    public void ReadKernel(BpfWidth width, BpfRegister into, BpfRegister from, int offset, int scratch, BpfLabel? onFault)
    {
        CopyKernel(scratch, width == BpfWidth.Eight ? sizeof(ulong) : sizeof(uint), from, offset, onFault);
        Load(width, into, BpfRegister.R10, scratch);
    }

    /// <summary>Copies kernel memory onto the stack. The registers r0 to r5 are lost.</summary>
    /// <param name="stack">Where on the stack.</param>
    /// <param name="bytes">How many bytes.</param>
    /// <param name="from">The structure's address.</param>
    /// <param name="offset">Where in it they lie.</param>
    /// <param name="onFault">Where it goes when there is no such memory; null to go on with zeros.</param>
    public void CopyKernel(int stack, int bytes, BpfRegister from, int offset, BpfLabel? onFault)
    {
        Move(BpfRegister.R3, from); // first: it may be one of the argument registers
        Compute(BpfArithmetic.Add, BpfRegister.R3, offset);
        Move(BpfRegister.R1, BpfRegister.R10);
        Compute(BpfArithmetic.Add, BpfRegister.R1, stack);
        Move(BpfRegister.R2, bytes);
        Call(ReadKernelMemory);
        if (onFault is not null)
        {
            JumpIf(BpfRegister.R0, BpfCondition.NotEqual, 0, onFault);
        }
    }

    /// <summary>Ends the program; r0 is its result.</summary>
    public void Exit() => Emit(ExitCode, default);

    /// <summary>Says that a label stands before the next instruction.</summary>
    public void Place(BpfLabel label)
    {
        if (label.Position is not null)
        {
            throw new InvalidOperationException("a label has one place");
        }

        label.Position = _code.Count;
    }

    /// <summary>The program, its jumps filled in.</summary>
    /// <exception cref="InvalidOperationException">A jump leads to a label that was never placed, or too far.</exception>
    public ulong[] Assemble()
    {
        ulong[] program = [.. _code];
        foreach ((int position, BpfLabel target) in _jumps)
        {
            int distance = (target.Position ?? throw new InvalidOperationException($"the jump at {position} leads nowhere")) - position - 1;
            if (distance is < short.MinValue or > short.MaxValue)
            {
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"the jump at {position} is {distance} instructions long"));
            }

            program[position] |= (ulong)unchecked((ushort)(short)distance) << 16;
        }

        return program;
    }

    private void EmitJump(int code, BpfRegister first, BpfRegister second, int immediate, BpfLabel target)
    {
        _jumps.Add((_code.Count, target));
        Emit(code, first, second, 0, immediate);
    }

    private void EmitWide(BpfRegister destination, int kind, int low, int high)
    {
        Emit(LoadConstantCode, destination, (BpfRegister)kind, 0, low);
        Emit(0, default, default, 0, high);
    }

    private void Emit(int code, BpfRegister destination, BpfRegister source = default, int offset = 0, int immediate = 0)
    {
        if (offset is < short.MinValue or > short.MaxValue)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), offset, "an offset has 16 bits");
        }

        uint low = (uint)code | ((uint)destination << 8) | ((uint)source << 12) | ((uint)unchecked((ushort)(short)offset) << 16);
        _code.Add(low | ((ulong)unchecked((uint)immediate) << 32));
    }
}
