using System.Runtime.InteropServices;
using System.Text;

namespace Quench.Interop.Linux;

/// <summary>An array of texts as C has it: pointers to UTF-8 with a zero at the end, and a null pointer after the last.</summary>
internal static unsafe class NativeStrings
{
    /// <summary>Copies texts into memory of their own; <see cref="Free"/> gives it back.</summary>
    public static byte** Make(IReadOnlyList<string> texts)
    {
        byte** strings = (byte**)NativeMemory.AllocZeroed((nuint)texts.Count + 1, (nuint)sizeof(byte*));
        for (int index = 0; index < texts.Count; index++)
        {
            byte[] text = Encoding.UTF8.GetBytes(texts[index]);
            strings[index] = (byte*)NativeMemory.AllocZeroed((nuint)text.Length + 1);
            text.CopyTo(new Span<byte>(strings[index], text.Length));
        }

        return strings;
    }

    /// <summary>Gives the memory back. Null is nothing.</summary>
    public static void Free(byte** strings)
    {
        if (strings == null)
        {
            return;
        }

        for (byte** at = strings; *at != null; at++)
        {
            NativeMemory.Free(*at);
        }

        NativeMemory.Free(strings);
    }
}
