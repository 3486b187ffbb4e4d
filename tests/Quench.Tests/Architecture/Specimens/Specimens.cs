// Types that break rules on purpose, each in one way, so that the checker can show that it sees it.
namespace Quench.Tests.Architecture.Specimens.Named
{
    internal sealed class Thing
    {
        public static int Value { get; set; }
    }
}

namespace Quench.Tests.Architecture.Specimens.InABody
{
    internal static class Names
    {
        public static int Read() => Named.Thing.Value;
    }
}

namespace Quench.Tests.Architecture.Specimens.InAField
{
    internal sealed class Names
    {
        public Named.Thing? Field { get; set; }
    }
}

namespace Quench.Tests.Architecture.Specimens.InAGenericArgument
{
    internal static class Names
    {
        public static int Count(List<Named.Thing> things) => things.Count;
    }
}

namespace Quench.Tests.Architecture.Specimens.InAClosure
{
    internal static class Names
    {
        public static Func<object> Make() => static () => new Named.Thing();
    }
}

namespace Quench.Tests.Architecture.Specimens.Innocent
{
    internal static class Names
    {
        public static string Read() => nameof(Named.Thing); // a word, not a use
    }
}
