with reported as (
    select r.as_of_date from {{ ref('reporting_date') }} as r
),

old_enough as (
    select m.loan_hk, m.application_hk, m.currency
    from {{ ref('fact_loan_month') }} as m
    where m.snapshot_kind = 'as_of' and m.status <> 'cancelled' and m.months_on_book >= {{ var('outcome_months') }}
),

bad as (
    select distinct m.loan_hk
    from {{ ref('fact_loan_month') }} as m
    where m.snapshot_kind = 'month_end' and m.months_on_book <= {{ var('outcome_months') }}
        and (m.days_past_due > 90 or m.status = 'written_off')
),

by_score as (
    select
        o.currency, d.score,
        sum(case when b.loan_hk is null then 1 else 0 end) as goods,
        sum(case when b.loan_hk is null then 0 else 1 end) as bads
    from old_enough as o
    inner join {{ ref('fact_decision') }} as d on d.application_hk = o.application_hk
    left join bad as b on b.loan_hk = o.loan_hk
    where d.score is not null
    group by o.currency, d.score
),

summed as (
    select
        s.currency, s.score, s.goods, s.bads,
        sum(s.goods) over (partition by s.currency order by s.score rows unbounded preceding) as goods_up_to,
        sum(s.bads) over (partition by s.currency order by s.score rows unbounded preceding) as bads_up_to,
        sum(s.goods) over (partition by s.currency) as all_goods,
        sum(s.bads) over (partition by s.currency) as all_bads
    from by_score as s
),

-- Pairs of a good and a bad: the good has the higher score (1), both have the same (1/2).
pairs as (
    select
        s.currency,
        max(s.all_goods) as goods,
        max(s.all_bads) as bads,
        cast(max(s.all_goods) as float) * max(s.all_bads) as pairs,
        sum(cast(s.goods as float) * (s.bads_up_to - s.bads) + cast(s.goods as float) * s.bads / 2) as won,
        max(abs(cast(s.bads_up_to as float) * s.all_goods - cast(s.goods_up_to as float) * s.all_bads)) as distance
    from summed as s
    group by s.currency
)

select
    r.as_of_date,
    p.currency,
    cast(k.kpi as varchar(40)) as kpi,
    cast(p.goods as bigint) as goods,
    cast(p.bads as bigint) as bads,
    cast(case when k.kpi = 'gini' then 2 * p.won - p.pairs else p.distance end as numeric(28, 4)) as numerator,
    cast(p.pairs as numeric(28, 4)) as denominator,
    {{ ratio("case when k.kpi = 'gini' then 2 * p.won - p.pairs else p.distance end", 'p.pairs') }} as value
from pairs as p
cross join reported as r
cross join (values ('gini'), ('ks')) as k(kpi)
