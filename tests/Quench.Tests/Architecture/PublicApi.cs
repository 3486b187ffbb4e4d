using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace Quench.Tests.Architecture;

/// <summary>Writes the public surface of an assembly down: a line a type, a line a member, in order.</summary>
internal static class PublicApi
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static string Describe(Assembly assembly)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"# {assembly.GetName().Name}\n");
        foreach (Type type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"{Head(type)}\n");
            foreach (string member in Members(type).Order(StringComparer.Ordinal))
            {
                text.Append(CultureInfo.InvariantCulture, $"    {type.Name}.{member}\n");
            }
        }

        return text.ToString();
    }

    private static string Head(Type type)
    {
        string kind = type switch
        {
            { IsEnum: true } => "enum",
            { IsInterface: true } => "interface",
            { IsValueType: true } => "struct",
            { IsAbstract: true, IsSealed: true } => "static class",
            { IsAbstract: true } => "abstract class",
            { IsSealed: true } => "sealed class",
            _ => "class",
        };
        IEnumerable<Type> above = type.GetInterfaces().Where(one => one.Namespace?.StartsWith("Quench", StringComparison.Ordinal) == true);
        above = type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType) && !type.IsEnum ? above.Prepend(parent) : above;
        string list = string.Join(", ", above.Select(Name).Order(StringComparer.Ordinal));
        return $"{kind} {type.Namespace}.{Name(type)}" + (list.Length == 0 ? "" : $" : {list}");
    }

    private static IEnumerable<string> Members(Type type)
    {
        if (type.IsEnum)
        {
            return Enum.GetNames(type).Select(name => $"{name} = {Convert.ToInt64(Enum.Parse(type, name), CultureInfo.InvariantCulture)}");
        }

        IEnumerable<string> constructors = type.GetConstructors(Declared).Where(IsSeen).Select(one => $"new({Parameters(one)})");
        IEnumerable<string> methods = type.GetMethods(Declared)
            .Where(one => IsSeen(one) && !one.IsSpecialName && !IsGenerated(one))
            .Select(one => $"{one.Name}({Parameters(one)}) : {Name(one.ReturnType)}");
        IEnumerable<string> operators = type.GetMethods(Declared)
            .Where(one => IsSeen(one) && one.IsSpecialName && one.Name.StartsWith("op_", StringComparison.Ordinal) && !IsGenerated(one))
            .Select(one => $"{one.Name}({Parameters(one)}) : {Name(one.ReturnType)}");
        IEnumerable<string> properties = type.GetProperties(Declared)
            .Where(one => one.GetAccessors(nonPublic: true).Any(IsSeen) && one.Name != "EqualityContract")
            .Select(one => $"{one.Name}{Accessors(one)} : {Name(one.PropertyType)}");
        IEnumerable<string> fields = type.GetFields(Declared).Where(one => one.IsPublic || one.IsFamily).Select(one => $"{one.Name} : {Name(one.FieldType)}");
        IEnumerable<string> events = type.GetEvents(Declared).Where(one => IsSeen(one.AddMethod!)).Select(one => $"event {one.Name}");
        return [.. constructors, .. methods, .. operators, .. properties, .. fields, .. events];
    }

    private static string Accessors(PropertyInfo property)
    {
        string get = property.GetMethod is { } getter && IsSeen(getter) ? "get;" : "";
        bool init = property.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) == true;
        string set = property.SetMethod is { } setter && IsSeen(setter) ? (init ? "init;" : "set;") : "";
        return $"{{{get}{set}}}";
    }

    private static bool IsSeen(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsGenerated(MethodInfo method) =>
        method.IsDefined(typeof(CompilerGeneratedAttribute)) || method.Name.Contains('<', StringComparison.Ordinal);

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(one =>
        (one.IsOut ? "out " : one.ParameterType.IsByRef ? "ref " : "") + $"{Name(one.ParameterType)} {one.Name}" + (one.HasDefaultValue ? " = " + (one.DefaultValue ?? "default") : "")));

    private static string Name(Type type)
    {
        if (type.IsByRef || type.IsArray || type.IsPointer)
        {
            return Name(type.GetElementType()!) + (type.IsArray ? "[]" : type.IsPointer ? "*" : "");
        }

        string plain = (type.IsNested && !type.IsGenericParameter ? Name(type.DeclaringType!) + "." : "") + type.Name.Split('`')[0];
        return type.IsGenericType ? $"{plain}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>" : plain;
    }
}
