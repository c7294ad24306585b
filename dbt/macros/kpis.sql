{#
    The first day of the twelve months that end with `day`: the day after `day`, a year before. A year before `day` itself and
    one day on is another: for 28 February after a leap year it is 29 February, and thirteen month ends lie between.
#}
{% macro start_of_twelve_months(day) -%}{{ add_months(add_days(day, 1), -12) }}{%- endmacro %}

{#
    The rows of a relation, each once for the whole (dimension and member `all`) and once for its product: `columns` of it, with
    dimension and member. until: a column, a day; then only rows up to the reporting date are there, which as_of_date is. The model imports reporting_date.
    only: a condition on `t`. months: source and kind of the partitions that this run makes, which are months of `until`.
#}
{% macro whole_and_products(relation, columns, until=none, only='1 = 1', months=none) %}
    select
        {% for column in columns %}t.{{ column }}, {% endfor %}
        s.dimension,
        cast(case when s.dimension = 'all' then 'all' else t.product_code end as varchar(64)) as member
        {%- if until %},
        r.as_of_date
        {%- endif %}
    from {{ relation }} as t
    cross join (values ('all'), ('product')) as s(dimension)
    {%- if until %}
    inner join reporting_date as r on r.as_of_date >= t.{{ until }}
    {%- endif %}
    {%- if months and is_incremental() %}
    inner join ({{ stale_partitions(months[0]) }}) as p
        on p.partition_kind = '{{ months[1] }}' and t.{{ until }} >= p.partition_day and t.{{ until }} < {{ add_months('p.partition_day', 1) }}
    {%- endif %}
    where {{ only }}
{% endmacro %}
