namespace Quench.Interop.Bpf;

/// <summary>
/// The machine's registers: r0 takes what a call returns, r1 to r5 its arguments (and are lost by it), r6 to r9 survive calls, r10 is the end of the
/// 512 bytes of stack and can't be written. (Documentation/bpf/standardization/instruction-set.rst)
/// </summary>
#pragma warning disable CS1591 // each member is the register's own name
public enum BpfRegister
{
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}
#pragma warning restore CS1591

/// <summary>What an instruction of 64-bit arithmetic does to its destination; the value is its code.</summary>
public enum BpfArithmetic
{
    /// <summary>Adds.</summary>
    Add = 0x00,

    /// <summary>Subtracts.</summary>
    Subtract = 0x10,

    /// <summary>Sets the bits of the other as well.</summary>
    Or = 0x40,

    /// <summary>Keeps the bits of the other only.</summary>
    And = 0x50,

    /// <summary>Shifts left.</summary>
    ShiftLeft = 0x60,

    /// <summary>Shifts right, zeros coming in.</summary>
    ShiftRight = 0x70,

    /// <summary>Becomes the other.</summary>
    Move = 0xB0,
}

/// <summary>When a conditional jump is taken; the value is its code. Comparisons are unsigned unless the name says otherwise.</summary>
public enum BpfCondition
{
    /// <summary>The two are equal.</summary>
    Equal = 0x10,

    /// <summary>The first is greater.</summary>
    Greater = 0x20,

    /// <summary>The first is not less.</summary>
    NotLess = 0x30,

    /// <summary>The two share a set bit.</summary>
    SharesBit = 0x40,

    /// <summary>The two differ.</summary>
    NotEqual = 0x50,

    /// <summary>The first is greater, as signed numbers.</summary>
    SignedGreater = 0x60,

    /// <summary>The first is not less, as signed numbers.</summary>
    SignedNotLess = 0x70,

    /// <summary>The first is less.</summary>
    Less = 0xA0,

    /// <summary>The first is not greater, as signed numbers.</summary>
    SignedNotGreater = 0xD0,
}

/// <summary>How many bytes a load or store moves; the value is its code.</summary>
public enum BpfWidth
{
    /// <summary>Four bytes; a load fills the upper half of the register with zeros.</summary>
    Four = 0x00,

    /// <summary>Eight bytes.</summary>
    Eight = 0x18,
}

/// <summary>A place in a program that jumps lead to.</summary>
public sealed class BpfLabel
{
    /// <summary>The instruction it stands before; null until it has been placed.</summary>
    internal int? Position { get; set; }
}
