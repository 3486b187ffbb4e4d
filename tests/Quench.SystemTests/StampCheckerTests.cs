using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Xunit;

namespace Quench.SystemTests;

/// <summary>The checker has teeth: an image that is wrong in one block is caught, and the block is named.</summary>
public sealed class StampCheckerTests : IDisposable
{
    private const long Last = 500;

    private readonly TempFolder _folder = new("stamps");
    private readonly StampField _field = new(0x5EED, 256);

    private string Image => _folder["field"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_field_after_exactly_some_write_is_right()
    {
        WriteUpTo(Last);

        StampVerdict verdict = StampChecker.Check(_field, Image);

        Assert.Empty(verdict.Wrong);
        Assert.Equal(Last, verdict.Last);
    }

    [Fact]
    public void A_field_that_was_never_stamped_is_right_and_shows_the_beginning()
    {
        WriteUpTo(0);

        Assert.Equal(0, StampChecker.Check(_field, Image).Last);
    }

    [Fact]
    public void One_stamp_from_later_is_caught()
    {
        WriteUpTo(Last);
        long later = Enumerable.Range(1, 50).Select(more => Last + more).First(k => _field.PlaceOf(k) != _field.PlaceOf(Last + 1));
        Put(later, _field.PlaceOf(later));

        StampVerdict verdict = StampChecker.Check(_field, Image);

        Assert.Contains(verdict.Wrong, line => line.Contains($"block {_field.PlaceOf(later)}: wrong time: it holds stamp {later}, although", StringComparison.Ordinal));
    }

    [Fact]
    public void One_missing_stamp_is_caught()
    {
        WriteUpTo(Last);
        long missing = Enumerable.Range(1, 99).Select(less => Last - less).First(IsStillThere);
        long before = Enumerable.Range(1, (int)missing - 1).Select(less => missing - less).FirstOrDefault(k => _field.PlaceOf(k) == _field.PlaceOf(missing));
        Put(before, _field.PlaceOf(missing));

        StampVerdict verdict = StampChecker.Check(_field, Image);

        Assert.Contains(verdict.Wrong, line => line.Contains($"block {_field.PlaceOf(missing)}: wrong time: it holds stamp {before}, but stamp {missing}", StringComparison.Ordinal));
    }

    [Fact]
    public void A_stamp_in_another_stamps_block_is_caught()
    {
        WriteUpTo(Last);
        int elsewhere = (_field.PlaceOf(Last) + 1) % _field.Blocks;
        Put(Last, elsewhere);

        Assert.Contains(StampChecker.Check(_field, Image).Wrong, line => line.Contains($"block {elsewhere}: wrong place", StringComparison.Ordinal));
    }

    [Fact]
    public void A_torn_block_and_a_block_of_another_run_are_caught()
    {
        WriteUpTo(Last);
        using (SafeFileHandle file = NativeFile.Open(Image, OpenMode.ReadWrite))
        {
            NativeFile.Write(file, new byte[512], ((long)_field.PlaceOf(Last) * StampField.BlockSize) + 2048);
        }

        Put(Last - 1, _field.PlaceOf(Last - 1), _field with { Key = 7 });

        IReadOnlyList<string> wrong = StampChecker.Check(_field, Image).Wrong;

        Assert.Contains(wrong, line => line.Contains("torn", StringComparison.Ordinal));
        Assert.Contains(wrong, line => line.Contains("another run", StringComparison.Ordinal));
    }

    [Fact]
    public void A_moment_outside_the_bounds_is_refused()
    {
        WriteUpTo(Last);
        StampVerdict verdict = StampChecker.Check(_field, Image);

        verdict.Demand(Last, Last, "the field");
        Assert.ThrowsAny<Exception>(() => verdict.Demand(Last + 1, Last + 9, "too early"));
        Assert.ThrowsAny<Exception>(() => verdict.Demand(1, Last - 1, "too late"));
    }

    private bool IsStillThere(long k) => Enumerable.Range(1, (int)(Last - k)).All(more => _field.PlaceOf(k + more) != _field.PlaceOf(k));

    private void WriteUpTo(long last)
    {
        using (SafeFileHandle file = NativeFile.Open(Image, OpenMode.ReadWrite | OpenMode.Create))
        {
            NativeFile.SetLength(file, _field.Length);
        }

        for (long k = 1; k <= last; k++)
        {
            Put(k, _field.PlaceOf(k));
        }
    }

    /// <summary>Puts a stamp into a block, whether it belongs there or not; stamp 0 is the empty block.</summary>
    private void Put(long k, int block, StampField? field = null)
    {
        byte[] content = new byte[StampField.BlockSize];
        if (k > 0)
        {
            (field ?? _field).Encode(content, k);
        }

        using SafeFileHandle file = NativeFile.Open(Image, OpenMode.ReadWrite);
        NativeFile.Write(file, content, (long)block * content.Length);
    }
}
