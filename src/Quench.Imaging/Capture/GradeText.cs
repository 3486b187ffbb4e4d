using Quench.Snapshots;

namespace Quench.Imaging.Capture;

/// <summary>Grades as points and scripts spell them.</summary>
public static class GradeText
{
    /// <summary>The grade's word: "crash", "file-system", "application".</summary>
    public static string Of(SnapshotGrade grade) => grade switch { SnapshotGrade.Application => "application", SnapshotGrade.FileSystem => "file-system", _ => "crash" };

    /// <summary>Whether a point of one grade is at least as quiet as another grade asks for. An unknown word is the lowest.</summary>
    public static bool IsAtLeast(string grade, string demanded) => Rank(grade) >= Rank(demanded);

    /// <summary>The lowest of some grades: that of a point of several volumes. "crash" of none.</summary>
    public static string Lowest(IEnumerable<string> grades) => grades.MinBy(Rank) ?? "crash";

    private static int Rank(string grade) => grade switch { "application" => 2, "file-system" => 1, _ => 0 };
}
