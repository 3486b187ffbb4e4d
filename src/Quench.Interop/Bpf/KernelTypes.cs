using System.Buffers.Binary;
using System.Text;

namespace Quench.Interop.Bpf;

/// <summary>
/// The kernel's own description of its types (BTF), so that a program can be fitted to the running kernel: where a field lies in a structure, and what a
/// tracepoint hands over. Read once, constant after that. (Documentation/bpf/btf.rst)
/// </summary>
/// <remarks>
/// <code>
///     0       2     3       4            8           12          16          20         24
///     ├ magic ┼ ver ┼ flags ┼ header len ┼ types at ─┼ types len ┼ strings at┼ str. len ┤
///
///     type:   ├ name (u32) ┼ kind-flag(1) · kind(5 bits from 24) · count(16) ┼ size or type (u32) ┤  then by kind
///     member: ├ name ┼ type ┼ bit offset ┤ (with the kind-flag, the upper 8 bits hold the width of a bit field)
/// </code>
/// </remarks>
public sealed class KernelTypes
{
    private const ushort Magic = 0xEB9F;
    private const int TypeBytes = 12;
    private const int MemberBytes = 12;
    private const int ParameterBytes = 8;
    private const int EnumeratorBytes = 8;

    private readonly byte[] _bytes;
    private readonly int _strings;
    private readonly List<int> _types = [-1]; // by the type's number, where it begins; number 0 is void

    private KernelTypes(byte[] bytes)
    {
        _bytes = bytes;
        if (bytes.Length < 24 || BinaryPrimitives.ReadUInt16LittleEndian(bytes) != Magic)
        {
            throw new InvalidDataException("no BTF: it does not begin as such");
        }

        int header = Int(4);
        int at = checked(header + Int(8));
        int end = checked(at + Int(12));
        _strings = checked(header + Int(16));
        if (at < 0 || end > bytes.Length || _strings < 0 || checked(_strings + Int(20)) > bytes.Length)
        {
            throw new InvalidDataException("the BTF is cut off");
        }

        while (at < end)
        {
            _types.Add(at);
            at = checked(at + TypeBytes + DetailBytes(at));
        }
    }

    private enum Kind
    {
        Int = 1,
        Pointer = 2,
        Array = 3,
        Struct = 4,
        Union = 5,
        Enum = 6,
        Forward = 7,
        Typedef = 8,
        Volatile = 9,
        Const = 10,
        Restrict = 11,
        Function = 12,
        Prototype = 13,
        Variable = 14,
        Section = 15,
        Float = 16,
        DeclarationTag = 17,
        TypeTag = 18,
        Enum64 = 19,
    }

    /// <summary>Those of the running kernel.</summary>
    /// <returns>Null when the kernel carries none (CONFIG_DEBUG_INFO_BTF).</returns>
    /// <exception cref="InvalidDataException">They make no sense.</exception>
    public static KernelTypes? ReadRunning()
    {
        const string Path = "/sys/kernel/btf/vmlinux";
        return File.Exists(Path) ? Parse(File.ReadAllBytes(Path)) : null;
    }

    /// <summary>Takes bytes apart.</summary>
    /// <exception cref="InvalidDataException">They make no sense.</exception>
    public static KernelTypes Parse(byte[] bytes)
    {
        try
        {
            return new KernelTypes(bytes);
        }
        catch (Exception failure) when (failure is ArgumentOutOfRangeException or OverflowException)
        {
            throw new InvalidDataException("the BTF is cut off", failure);
        }
    }

    /// <summary>Where a field lies in a structure.</summary>
    /// <param name="structure">The structure's name.</param>
    /// <param name="path">The field's name; "a.b" for field b of the structure that field a is.</param>
    /// <returns>Bytes from the structure's start; null when this kernel has no such structure or field, or when it is a bit field.</returns>
    public int? FindField(string structure, string path)
    {
        int type = FindType(Kind.Struct, structure);
        int offset = 0;
        foreach (string name in path.Split('.'))
        {
            if (type == 0 || FindMember(type, name) is not { } member)
            {
                return null;
            }

            offset += member.Offset;
            type = Resolve(member.Type);
        }

        return offset;
    }

    /// <summary>How many bytes a structure has.</summary>
    /// <returns>Null when this kernel has no such structure.</returns>
    public int? FindSize(string structure) => FindType(Kind.Struct, structure) is > 0 and int type ? Int(_types[type] + 8) : null;

    /// <summary>The value of a name in an enumeration of 32-bit values.</summary>
    /// <returns>Null when this kernel has no such enumeration or name.</returns>
    public int? FindEnumerator(string enumeration, string name)
    {
        int type = FindType(Kind.Enum, enumeration);
        int count = type == 0 ? 0 : CountOf(_types[type]);
        for (int index = 0; index < count; index++)
        {
            int member = _types[type] + TypeBytes + (index * EnumeratorBytes);
            if (TextIs(Int(member), name))
            {
                return Int(member + 4);
            }
        }

        return null;
    }

    /// <summary>What a raw tracepoint hands over, in order, each as the name of its type: "request" for a pointer to that structure.</summary>
    /// <returns>Null when this kernel has no such tracepoint.</returns>
    public IReadOnlyList<string>? FindTracepoint(string name)
    {
        int typedef = FindType(Kind.Typedef, "btf_trace_" + name);
        int prototype = typedef == 0 ? 0 : Resolve(typedef);
        if (prototype == 0 || KindOf(prototype) != Kind.Prototype)
        {
            return null;
        }

        int count = CountOf(_types[prototype]);
        int parameters = _types[prototype] + TypeBytes;
        return [.. Enumerable.Range(1, Math.Max(0, count - 1)).Select(index => NameOf(Target(Int(parameters + (index * ParameterBytes) + 4))))];
    }

    private (int Type, int Offset)? FindMember(int structure, string name)
    {
        bool hasBitFields = Int(_types[structure] + 4) < 0;
        for (int index = 0; index < CountOf(_types[structure]); index++)
        {
            int member = _types[structure] + TypeBytes + (index * MemberBytes);
            uint place = unchecked((uint)Int(member + 8));
            uint bits = hasBitFields ? place & 0xFFFFFF : place;
            bool isBitField = hasBitFields && place >> 24 != 0;
            int type = Int(member + 4);
            if (TextIs(Int(member), name))
            {
                return isBitField || bits % 8 != 0 ? null : (type, (int)(bits / 8));
            }

            int inner = Resolve(type);
            if (Int(member) == 0 && inner != 0 && KindOf(inner) is Kind.Struct or Kind.Union && FindMember(inner, name) is { } found)
            {
                return (found.Type, (int)(bits / 8) + found.Offset);
            }
        }

        return null;
    }

    private int FindType(Kind kind, string name)
    {
        for (int type = 1; type < _types.Count; type++)
        {
            if (KindOf(type) == kind && TextIs(Int(_types[type]), name))
            {
                return type;
            }
        }

        return 0;
    }

    /// <summary>Goes past names and qualifiers, and past the pointer that a tracepoint's name stands for.</summary>
    private int Resolve(int type)
    {
        while (type != 0 && KindOf(type) is Kind.Typedef or Kind.Volatile or Kind.Const or Kind.Restrict or Kind.TypeTag or Kind.Pointer)
        {
            type = Int(_types[type] + 8);
        }

        return type;
    }

    /// <summary>The type itself; what it points to when it is a pointer.</summary>
    private int Target(int type)
    {
        while (type != 0 && KindOf(type) is Kind.Pointer or Kind.Const or Kind.Volatile or Kind.TypeTag)
        {
            type = Int(_types[type] + 8);
        }

        return type;
    }

    private string NameOf(int type)
    {
        if (type == 0)
        {
            return "void";
        }

        int start = checked(_strings + Int(_types[type]));
        return Encoding.ASCII.GetString(_bytes, start, _bytes.AsSpan(start).IndexOf((byte)0));
    }

    private bool TextIs(int name, string text)
    {
        ReadOnlySpan<byte> there = _bytes.AsSpan(checked(_strings + name));
        if (there.Length <= text.Length || there[text.Length] != 0)
        {
            return false;
        }

        for (int at = 0; at < text.Length; at++)
        {
            if (there[at] != text[at])
            {
                return false;
            }
        }

        return true;
    }

    private Kind KindOf(int type) => KindAt(_types[type]);

    private Kind KindAt(int at) => (Kind)((Int(at + 4) >> 24) & 0x1F);

    private int CountOf(int at) => Int(at + 4) & 0xFFFF;

    private int DetailBytes(int at) => KindAt(at) switch
    {
        Kind.Int or Kind.Variable or Kind.DeclarationTag => 4,
        Kind.Array => 12,
        Kind.Struct or Kind.Union or Kind.Section or Kind.Enum64 => CountOf(at) * MemberBytes,
        Kind.Enum or Kind.Prototype => CountOf(at) * ParameterBytes,
        Kind.Pointer or Kind.Forward or Kind.Typedef or Kind.Volatile or Kind.Const or Kind.Restrict or Kind.Function or Kind.Float or Kind.TypeTag => 0,
        _ => throw new InvalidDataException("the BTF has a kind of type that is not known here"),
    };

    private int Int(int at) => BinaryPrimitives.ReadInt32LittleEndian(_bytes.AsSpan(at));
}
