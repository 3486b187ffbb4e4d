namespace Quench.Snapshots.Coordination;

/// <summary>Which writer it is: the same id wherever that kind of writer runs, another instance id for each application that it speaks for.</summary>
/// <param name="Id">The kind of writer, fixed in its program.</param>
/// <param name="InstanceId">This application on this machine; the same again in the next backup (<see cref="InstanceIdOf"/>).</param>
/// <param name="Name">What people call it: "PostgreSQL", "MariaDB". Letters, digits, blank, dash and dot; at most 64.</param>
/// <param name="InstanceName">Which one it is, where there may be several: a data directory, a unit, a machine's name. Empty when there is one only.</param>
public sealed record WriterIdentity(Guid Id, Guid InstanceId, string Name, string InstanceName = "")
{
    /// <summary>The longest name, in characters.</summary>
    public const int LongestName = 64;

    /// <summary>An instance id that is the same in each backup: derived from the writer's id and from what makes the instance what it is, such as its data directory.</summary>
    public static Guid InstanceIdOf(Guid writer, string instance)
    {
        byte[] text = System.Text.Encoding.UTF8.GetBytes(instance);
        byte[] material = [.. writer.ToByteArray(bigEndian: true), .. text];
        Span<byte> id = System.Security.Cryptography.SHA256.HashData(material).AsSpan(0, 16);
        id[6] = (byte)((id[6] & 0x0F) | 0x80); // version 8: made by a rule of one's own (RFC 9562 §5.8)
        id[8] = (byte)((id[8] & 0x3F) | 0x80);
        return new Guid(id, bigEndian: true);
    }

    /// <inheritdoc/>
    public override string ToString() => InstanceName.Length == 0 ? Name : $"{Name} ({InstanceName})";
}
