using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Interop;

/// <summary>The list of native things against the code, both ways, and against the headers where there is a C compiler.</summary>
public sealed partial class BindingsTests
{
    private const BindingFlags Everything = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private static readonly Type[] s_types = typeof(NativeFile).Assembly.GetTypes();
    private readonly Bindings _bindings = Bindings.Load();

    [Fact]
    public void Every_native_function_is_listed_with_its_header()
    {
        // The generator turns each [LibraryImport] into one P/Invoke, either the method itself or a local function in it.
        IEnumerable<string> called = s_types
            .SelectMany(type => type.GetMethods(Everything))
            .Select(method => method.GetCustomAttribute<DllImportAttribute>())
            .OfType<DllImportAttribute>()
            .Select(import => import.EntryPoint!);
        SameNames("functions", called, _bindings.Functions.Keys, name => $"  {name}: <header>");
    }

    [Fact]
    public void Every_native_constant_is_listed_with_its_value()
    {
        Dictionary<string, long> constants = [];
        foreach (FieldInfo field in s_types.Where(type => !type.IsEnum).SelectMany(type => type.GetFields(Everything)).Where(IsNativeConstant))
        {
            long value = unchecked((long)Convert.ToDecimal(field.GetRawConstantValue(), CultureInfo.InvariantCulture));
            Assert.True(constants.TryAdd(field.Name, value) || constants[field.Name] == value, $"{field.Name} has two values");
        }

        SameNames("constants", constants.Keys, _bindings.Constants.Keys, name => $"  {name}: 0x{constants[name]:X} <header>");
        Assert.All(constants, constant => Assert.Equal(_bindings.Constants[constant.Key].Value, constant.Value));
    }

    [Fact]
    public void Every_native_structure_is_listed_with_its_size_and_offsets()
    {
        Type[] structures = [.. s_types.Where(type => type is { IsValueType: true, IsEnum: false, IsPublic: false }
            && type.StructLayoutAttribute is { Value: LayoutKind.Explicit or LayoutKind.Sequential }
            && type.Namespace?.StartsWith("Quench.", StringComparison.Ordinal) == true
            && !type.IsNestedPublic && !type.Name.Contains('<', StringComparison.Ordinal))];
        SameNames("structs", structures.Select(type => type.Name), _bindings.Structures.Keys, name => Drawn(structures.First(type => type.Name == name)));
        Assert.All(structures, type =>
        {
            Bindings.Structure listed = _bindings.Structures[type.Name];
            Assert.Equal(listed.Size, Marshal.SizeOf(type));
            FieldInfo[] fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
            Assert.Equal(
                listed.Fields.Select(field => (field.Key, field.Value.Offset)).Order(),
                fields.Select(field => (field.Name, (long)Marshal.OffsetOf(type, field.Name))).Order());
        });
    }

    [Fact]
    public async Task The_headers_of_this_machine_agree()
    {
        Requires.Tool("cc");
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64, "the list holds the values of x86-64");
        using TemporaryDirectory directory = new();
        List<string> files = [];
        foreach (IGrouping<string, string> header in Claims().GroupBy(claim => claim.Header, claim => claim.Line))
        {
            string file = directory[$"{files.Count}.c"];
            await File.WriteAllTextAsync(file, Program(header.Key, header), TestContext.Current.CancellationToken);
            files.Add(file);
        }

        (int code, string output) = await Tool.RunAsync("cc", ["-fsyntax-only", "-Wno-unused-value", .. files]);
        Assert.True(code == 0, output);
    }

    private IEnumerable<(string Header, string Line)> Claims()
    {
        foreach ((string name, string header) in _bindings.Functions)
        {
            yield return (header, $"static void *p_{name} = (void *){name};");
        }

        foreach ((string name, Bindings.Constant constant) in _bindings.Constants)
        {
            yield return (constant.Header, $"_Static_assert((long long)({constant.Expression}) == {constant.Value}LL, \"{name}\");");
        }

        foreach (Errno errno in Enum.GetValues<Errno>())
        {
            yield return ("errno.h", $"_Static_assert({errno} == {(int)errno}, \"{errno}\");");
        }

        foreach ((string name, Bindings.Structure structure) in _bindings.Structures)
        {
            yield return (structure.Header, $"_Static_assert(sizeof({structure.NativeName}) == {structure.Size}, \"{name}\");");
            foreach ((string field, (long offset, string native)) in structure.Fields)
            {
                yield return (structure.Header, $"_Static_assert(offsetof({structure.NativeName}, {native}) == {offset}, \"{name}.{field}\");");
            }
        }
    }

    /// <summary>One program for each header: some of them can't be included together. A header that is not installed is passed over.</summary>
    private static string Program(string header, IEnumerable<string> claims)
    {
        StringBuilder program = new();
        program.Append(CultureInfo.InvariantCulture, $"#define _GNU_SOURCE\n#include <stddef.h>\n#if __has_include(<{header}>)\n#include <{header}>\n");
        program.AppendJoin('\n', claims).Append("\n#endif\n");
        return program.ToString();
    }

    private static void SameNames(string section, IEnumerable<string> used, IEnumerable<string> listed, Func<string, string> line)
    {
        string[] names = [.. used.Distinct().Order(StringComparer.Ordinal)];
        string[] missing = [.. names.Except(listed)];
        string[] stale = [.. listed.Except(names)];
        Assert.True(missing.Length == 0, $"add to {section} in src/Quench.Interop/bindings.yaml:\n{string.Join('\n', missing.Select(line))}");
        Assert.True(stale.Length == 0, $"nobody uses these {section} of src/Quench.Interop/bindings.yaml any more: {string.Join(", ", stale)}");
    }

    private static string Drawn(Type type) => $"  {type.Name}: {Marshal.SizeOf(type)} <header> struct <name>\n" + string.Join(
        '\n',
        type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .Select(field => $"    {field.Name}: {Marshal.OffsetOf(type, field.Name)} <c name>"));

    private static bool IsNativeConstant(FieldInfo field) =>
        field is { IsLiteral: true } && field.FieldType.IsPrimitive | field.FieldType == typeof(nint) | field.FieldType == typeof(nuint)
        && NativeName().IsMatch(field.Name);

    /// <summary>FIFREEZE, O_CREAT, SYS_openat2; our own constants are written like Words.</summary>
    [GeneratedRegex("^([A-Z][A-Z0-9]+|[A-Z][A-Z0-9]*_[A-Za-z0-9_]+)$")]
    private static partial Regex NativeName();
}
