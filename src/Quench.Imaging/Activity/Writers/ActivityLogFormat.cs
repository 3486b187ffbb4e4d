using System.Text;

namespace Quench.Imaging.Activity.Writers;

/// <summary>
/// The log of watches: a file that is only ever appended to, and is whole up to its last complete frame whoever dies.
/// <code>
///     file:    ├ "QNCHWLG1" ┼ frame ┼ frame ┼ …
///     frame:   ├ payload length (u32) ┼ CRC-32C of the payload (u32) ┼ payload ┤                        little-endian
///
///     payload: 'S' session   start (i64) · device · mount point · file system · length (n) · own process (n)     text: n bytes of UTF-8, "" for none
///              'E' events    time (i64) · count (n) · events
///              'W' watched   until (i64) · missed · lost events · lost bytes · unread · names · pages · approximate bytes (n each)
///
///     event:   ├ tag: kind (bits 0–2), evidence (3–4), new process (5), file told (6) ┤ time after the event before, 10 µs (z) · offset after its end (z) · length (n)
///              · process (n) [· number (n) · is kernel (1 byte) · name] · file (n) [· kind (1 byte) · inode (n) · path]
/// </code>
/// Times are 100 ns ticks of UTC since year 1; offsets and lengths count sectors of 512 bytes; n is a number of 7 bits a byte, lowest first, z the same with its sign in the lowest bit. Processes and
/// files are numbered as they come, from 0, anew in each session; a file that has got another path is told again under its number. CRC-32C: RFC 3720, section 12.1.
/// </summary>
internal static class ActivityLogFormat
{
    public const int SectorBytes = 512;
    public const int FrameHeaderBytes = 8;
    public const int MaxPayload = 64 << 20;
    public const byte Session = (byte)'S';
    public const byte Events = (byte)'E';
    public const byte Watched = (byte)'W';
    public const int EvidenceShift = 3;
    public const int KindMask = 7;
    public const int EvidenceMask = 3;
    public const int NewProcess = 1 << 5;
    public const int FileTold = 1 << 6;
    public const int TimeTicks = 100;

    public static ReadOnlySpan<byte> Magic => "QNCHWLG1"u8;

    public static UTF8Encoding Text { get; } = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Writes a number with its sign in the lowest bit.</summary>
    public static void WriteSigned(this BinaryWriter writer, long value) => writer.Write7BitEncodedInt64((value << 1) ^ (value >> 63));

    /// <summary>Reads such a number.</summary>
    public static long ReadSigned(this BinaryReader reader)
    {
        long value = reader.Read7BitEncodedInt64();
        return (value >>> 1) ^ -(value & 1);
    }
}
