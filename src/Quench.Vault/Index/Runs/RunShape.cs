namespace Quench.Vault.Index.Runs;

// A run: records in the order of their ids, then what is kept of them in memory. All in pages (PageCipher).
//
//   ├ records, 78 a page ─┼ fences: the first 8 bytes of each record page's first id ─┬ the filter's words ─┤
//   0                     RecordPages                                                 (no gap)
internal readonly record struct RunShape(Guid Id, int Count, int FilterWords)
{
    internal const int RecordsPerPage = PageCipher.PayloadSize / IndexRecord.Size;
    internal const int WordsPerPage = PageCipher.PayloadSize / sizeof(ulong);

    internal int RecordPages => (Count + RecordsPerPage - 1) / RecordsPerPage;

    internal int Pages => RecordPages + ((RecordPages + FilterWords + WordsPerPage - 1) / WordsPerPage);

    internal long Length => (long)Pages * PageCipher.PageSize;

    internal bool IsSound => Count > 0 && FilterWords > 0 && FilterWords % 8 == 0 && FilterWords <= ChunkFilter.WordsFor(int.MaxValue);

    /// <summary>How many records a page has.</summary>
    internal int RecordsIn(int page) => Math.Min(RecordsPerPage, Count - (page * RecordsPerPage));
}
