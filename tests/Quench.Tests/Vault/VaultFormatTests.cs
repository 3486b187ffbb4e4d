using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Quench.Vault.Format;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Vault;

public sealed partial class VaultFormatTests
{
    [Fact]
    public void Every_section_that_the_code_cites_is_in_the_document()
    {
        string root = RepositoryRoot();
        string document = File.ReadAllText(Path.Combine(root, "docs", "vault-format.md"));
        HashSet<string> sections = [.. Heading().Matches(document).Select(match => match.Groups[1].Value)];
        int citations = 0;
        foreach (string file in Directory.EnumerateFiles(Path.Combine(root, "src", "Quench.Vault"), "*.cs", SearchOption.AllDirectories))
        {
            foreach (Match citation in Citation().Matches(File.ReadAllText(file)))
            {
                citations++;
                Assert.True(sections.Contains(citation.Groups[1].Value), $"{Path.GetFileName(file)} cites §{citation.Groups[1].Value}, which the document does not have");
            }
        }

        Assert.True(citations > 30);
        foreach (string file in Directory.EnumerateFiles(Path.Combine(root, "src", "Quench.Vault", "Format"), "*.cs"))
        {
            Assert.Matches(Citation(), File.ReadAllText(file));
        }
    }

    [Fact]
    public void A_recovery_code_survives_being_written_down_and_any_single_mistake_is_noticed()
    {
        byte[] secret = RandomNumberGenerator.GetBytes(32);
        byte[] written = new byte[RecoveryCode.TextLength];
        RecoveryCode.Write(secret, written);
        string code = System.Text.Encoding.ASCII.GetString(written);
        byte[] read = new byte[32];
        Assert.True(RecoveryCode.TryRead(System.Text.Encoding.ASCII.GetBytes(code), read));
        Assert.Equal(secret, read);
        int noticed = 0;
        for (int i = 0; i < code.Length; i++)
        {
            if (code[i] != '-')
            {
                char[] wrong = code.ToCharArray();
                wrong[i] = wrong[i] == 'Z' ? 'Y' : 'Z';
                noticed += RecoveryCode.TryRead(System.Text.Encoding.ASCII.GetBytes(wrong), read) ? 0 : 1;
            }
        }

        Assert.Equal(56, noticed);
        Assert.False(RecoveryCode.TryRead("too short"u8, read));
        Assert.False(RecoveryCode.TryRead([], read));
    }

    [Theory]
    [InlineData(1, 4096)]
    [InlineData(4096, 4096)]
    [InlineData(4097, 8192)]
    [InlineData(65536, 65536)]
    [InlineData(65537, 69632)]
    [InlineData(15_900_000, 16_252_928)]
    [InlineData(16 * 1024 * 1024, 16 * 1024 * 1024)]
    public void Size_classes_are_as_written(int size, int expected) => Assert.Equal(expected, SizeClass.Of(size));

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(256, 0, 1)]
    [InlineData(257, 1, 2)]
    [InlineData(65536, 1, 256)]
    [InlineData(65537, 2, 257)]
    public void The_map_has_as_many_levels_as_it_needs(long chunks, int top, long leaves)
    {
        MapTree tree = new(chunks);
        Assert.Equal((top, leaves), (tree.TopLevel, tree.PagesAt(0)));
    }

    [Fact]
    public void Meta_packs_and_unpacks()
    {
        foreach (int length in (int[])[1, 65536, ChunkMeta.MaxPlainLength])
        {
            foreach (byte type in (byte[])[0, 16, 23])
            {
                ChunkMeta meta = new(type, length, zstd: type == 16);
                Assert.Equal((length, type, type == 16, true), (meta.PlainLength, meta.Type, meta.IsZstd, meta.IsValid));
            }
        }

        Assert.False(new ChunkMeta(0).IsValid);
    }

    [GeneratedRegex(@"^#{2,3} (\d+(?:\.\d+)?)\.? ", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"§(\d+(?:\.\d+)?)")]
    private static partial Regex Citation();
}
