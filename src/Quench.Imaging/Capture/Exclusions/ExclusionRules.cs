using Quench.FileSystems;

namespace Quench.Imaging.Capture.Exclusions;

/// <summary>All reasons to leave data of files out of an image. Of several that meet one file, the first counts. Constant; readable from many threads.</summary>
/// <param name="rules">The rules, the user's first.</param>
public sealed class ExclusionRules(IReadOnlyList<ExclusionRule> rules) : IFileSelection
{
    /// <summary>None.</summary>
    public static ExclusionRules None { get; } = new([]);

    /// <summary>The rules.</summary>
    public IReadOnlyList<ExclusionRule> Rules => rules;

    /// <summary>What nobody wants back of a Windows volume: memory that was written out. A volume that sleeps is never asked: its map is in doubt.</summary>
    public static IReadOnlyList<ExclusionRule> OfWindows { get; } =
    [
        OnNtfs("/pagefile.sys", ExclusionRule.PageFile), OnNtfs("/swapfile.sys", ExclusionRule.PageFile), OnNtfs("/hiberfil.sys", ExclusionRule.HibernationFile) with { UnlessStart = "hibr" },
    ];

    /// <inheritdoc/>
    public IFolderSelection? RootOf(string type, int? partition)
    {
        ulong[] positions = [.. rules.Select(rule => rule.HoldsOn(type, partition) ? rule.Glob.Start : 0)];
        return positions.Any(position => position != 0) ? new Folder(this, positions) : null;
    }

    private static ExclusionRule OnNtfs(string path, string origin) => new(PathGlob.Literal(path), origin) { FileSystem = "ntfs", IgnoresCase = true };

    /// <summary>A folder, and how far each rule has matched on the way to it.</summary>
    private sealed class Folder(ExclusionRules owner, ulong[] positions) : IFolderSelection
    {
        public WantedFile? FileOf(string name, bool ignoresCase)
        {
            for (int rule = 0; rule < positions.Length; rule++)
            {
                if (positions[rule] != 0 && owner.Rules[rule].Glob.IsMatch(Step(rule, name, ignoresCase)))
                {
                    return new WantedFile(rule, owner.Rules[rule].KeptHead, owner.Rules[rule].UnlessStart);
                }
            }

            return null;
        }

        public IFolderSelection? Below(string name, bool ignoresCase)
        {
            ulong[]? below = null;
            for (int rule = 0; rule < positions.Length; rule++)
            {
                if (positions[rule] != 0 && Step(rule, name, ignoresCase) is var next and not 0)
                {
                    below ??= new ulong[positions.Length];
                    below[rule] = next;
                }
            }

            return below is null ? null : new Folder(owner, below);
        }

        private ulong Step(int rule, string name, bool ignoresCase) => owner.Rules[rule].Glob.Step(positions[rule], name, ignoresCase || owner.Rules[rule].IgnoresCase);
    }
}
